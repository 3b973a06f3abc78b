"""A rack in C, where the simulator of `engine.sim` would be the limit, and a disk that flushes slowly."""
