"""Stub of _fields.pyx: nothing of it is seen from Python, only from `_pdu`."""
