"""Rules of the gateway, without I/O."""
