"""The shell: HTTP, pages and the command line.  Nothing but HTTP is decided here."""
