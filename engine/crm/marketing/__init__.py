"""Campaigns and what they need."""
