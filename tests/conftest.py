"""Fixtures that every test may ask for."""

from tests.postgres import database, dsn, postgres

__all__ = ["database", "dsn", "postgres"]
