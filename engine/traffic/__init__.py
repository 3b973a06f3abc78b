"""Messages in motion: queued, sent, reported, received."""
