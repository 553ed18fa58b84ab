"""The provider's side of the server: from the bytes of a call to the bytes of its answer."""
