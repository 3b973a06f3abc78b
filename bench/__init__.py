"""Benchmarks and the readable pure-Python oracle."""
