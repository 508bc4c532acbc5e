from collections.abc import AsyncIterator

import pytest

from tests.api.client import World, a_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with a_world() as world:
        yield world
