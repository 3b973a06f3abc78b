"""Customers, what they agreed to, and whom we must not text."""
