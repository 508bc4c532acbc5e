"""What staff types: thin clients of the HTTP API, with tables."""
