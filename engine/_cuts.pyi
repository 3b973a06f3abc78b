"""Stub of _cuts.pyx, where the behaviour is documented.  All of it is for other native modules."""
