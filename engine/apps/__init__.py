"""What a text sent to us can do."""
