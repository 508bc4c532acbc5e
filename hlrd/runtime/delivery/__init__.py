"""Receipts to the endpoints of their sources: a worker each, and one writer of what is settled."""
