"""F17 to F25, between enterprises, provinces and headquarters: their stories, their acceptance
sentences and their failure paths, in small form on one shared site of two roles; and F20 and F21
in one process."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from loadtest.flow.group import one_process, two_roles
from loadtest.flow.site import Site, standing
from tests.e2e.flows import ids_of, size_of, unproven, wrong_with

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

FLOWS = ids_of("F17", "F25")
BASE = ["F20", "F21"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    async with standing(two_roles, size=size_of(FLOWS)) as stood:
        yield stood


@pytest.mark.parametrize("id", FLOWS)
async def test_a_flow_is_told_and_proven_and_holds_when_it_fails(id: str, site: Site) -> None:
    assert await wrong_with(id, site) == []


async def test_province_and_headquarters_in_one_process_open_members_as_well() -> None:
    async with standing(one_process, size=size_of(BASE)) as stood:
        for id in BASE:
            assert await unproven(id, stood) == []
