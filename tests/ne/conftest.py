"""Shells are tested on both loops: uvloop runs in production, asyncio where it cannot be had."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio
import uvloop

from tests.ne.peer import Peer
from tests.ne.rig import Rig


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer() as peer:
        yield peer


MakeRig = Callable[..., Awaitable[Rig]]


@pytest_asyncio.fixture
async def a_rig(peer: Peer) -> AsyncIterator[MakeRig]:
    """Builds started drivers of `peer`, and drains them in the end."""
    async with AsyncExitStack() as stack:

        async def make(*, port: int | None = None, **changes: Any) -> Rig:
            rig = Rig(peer.port if port is None else port, **changes)
            stack.push_async_callback(rig.driver.drain, 0.0)
            rig.driver.start()
            return rig

        yield make
