"""The wire protocols of the providers, one file each, which `registry` loads by name. They have no I/O."""
