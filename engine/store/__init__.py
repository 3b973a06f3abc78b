"""LMDB: one thread writes, everyone reads."""
