"""A TC35i on a serial line, and a pool of them."""
