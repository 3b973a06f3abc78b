"""What staff and customers can text: one file per family of commands."""
