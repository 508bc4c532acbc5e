"""Fixtures that every test may ask for."""

import os
from collections.abc import Iterator

import pytest

from loadtest import stack
from tests.postgres import database, dsn, postgres

__all__ = ["database", "dsn", "own_ports", "postgres"]


@pytest.fixture(scope="session", autouse=True)
def own_ports() -> Iterator[None]:
    """Workers that run side by side (`make test`) choose fixed ports from ranges of their own."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first, last = stack.FIXED_PORTS
    share = (last - first) // workers
    with pytest.MonkeyPatch.context() as patch:
        start = first + worker * share
        patch.setattr(stack, "FIXED_PORTS", (start, start + share))
        yield
