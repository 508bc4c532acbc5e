"""F01 to F16, between CRM, BOSS and the network: their stories, their acceptance sentences and
their failure paths, in small form on one shared site; F02 on one where rights are local."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from loadtest.flow.site import Site, standing
from loadtest.flow.telecom import telecom, telecom_local
from tests.e2e.flows import ids_of, size_of, wrong_with

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

LOCAL = ["F02"]
CENTRAL = [id for id in ids_of("F01", "F16") if id not in LOCAL]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def site() -> AsyncIterator[Site]:
    async with standing(telecom, size=size_of(CENTRAL)) as stood:
        yield stood


@pytest.mark.parametrize("id", CENTRAL)
async def test_a_flow_is_told_and_proven_and_holds_when_it_fails(id: str, site: Site) -> None:
    assert await wrong_with(id, site) == []


async def test_staff_logs_in_where_every_system_has_its_own_rights() -> None:
    async with standing(telecom_local) as stood:
        assert await wrong_with("F02", stood) == []
