"""`python -m server` is `carillon`."""

from server.cli import main

main()
