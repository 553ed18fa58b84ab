"""The providers' protocols, one file each, loaded by name through `registry`. Bytes in, bytes out; no I/O."""
