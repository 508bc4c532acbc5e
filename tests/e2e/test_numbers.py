"""Numbers on their way back to the pool, through the daemon, PostgreSQL and an emulated HLR."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hlrd.codec import mml
from hlrd.domain.identity import MSISDN, international
from hlrd.domain.orders import Source
from loadtest.settings import HLR_USER
from tests.e2e.flow import SMALL, System, system

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]

LONELY = "1064977000001"  # the only number of a pool, and not clean at its HLR
STRANGER = "001010000000077"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made() -> AsyncIterator[System]:
    async with system(SMALL) as made:
        yield made


async def call(made: System, method: str, path: str, json: Any = None, **headers: str) -> Any:
    token = made.stack.token(Source.ESOP if "work-orders" in path else Source.OPS)
    sent = {"Authorization": f"Bearer {token}", **headers}
    async with made.stack.http.request(
        method, made.stack.url + path, json=json, headers=sent
    ) as response:
        return await response.json()


async def order(made: System, order_id: str, **fields: Any) -> dict[str, Any]:
    header = {"order_id": order_id, "province": "200", "operator_id": "op"}
    answer = await call(made, "POST", "/v1/work-orders", {**header, **fields}, Prefer="wait=30")
    receipt: dict[str, Any] = answer["receipt"]
    return receipt


async def opened(made: System, user: str, **fields: Any) -> str:
    activation = {"type": "MEMBER_ACTIVATE", "user_id": user, "ec_code": "EC1"}
    receipt = await order(made, f"open-{user}", **activation, **fields)
    assert receipt["result"] == "succeeded", receipt
    msisdn: str = receipt["msisdn"]
    return msisdn


async def terminated(made: System, user: str, msisdn: str, days: int) -> None:
    fields = {"type": "USER_TERMINATE", "user_id": user, "msisdn": msisdn}
    receipt = await order(made, f"close-{user}", quarantine_days=days, **fields)
    assert receipt["result"] == "succeeded", receipt


async def until_state(made: System, msisdn: str, *states: str) -> None:
    async with asyncio.timeout(60):
        while (await call(made, "GET", f"/v1/numbers/{msisdn}"))["state"] not in states:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def past(made: System, msisdn: str) -> list[str]:
    """Events, the oldest first."""
    history = await call(made, "GET", f"/v1/numbers/{msisdn}/history")
    return [row["event"] for row in reversed(history["past"])]


async def add_record(made: System, ne: str, msisdn: str, imsi: str = STRANGER) -> None:
    """As if somebody had worked at the HLR by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", made.stack._ports[ne])
    password = made.stack.credentials.hlr_password
    key = {"KIVALUE": "0" * 32, "K4SNO": "1", "CARDTYPE": "SIM", "ALG": "COMP128_1"}
    record = {"ISDN": international(MSISDN(msisdn)), "TPLTYPE": "NORMAL", "TPLID": "1"}
    for command in (
        mml.command("LGI", HLRSN="1", OPNAME=HLR_USER, PWD=password),
        mml.command("ADD KI", HLRSN="1", IMSI=imsi, OPERTYPE="ADD", **key),
        mml.command("ADD TPLSUB", HLRSN="1", IMSI=imsi, **record),
    ):
        writer.write(command)
        reply = await asyncio.wait_for(reader.readuntil(b"END\r\n"), 10)
        assert b"RETCODE = 0 " in reply, reply
    writer.close()


async def test_a_released_number_whose_hlr_is_clean_comes_back_by_itself(made: System) -> None:
    msisdn = await opened(made, "9001")

    await terminated(made, "9001", msisdn, days=0)

    await until_state(made, msisdn, "idle", "leased")
    assert await past(made, msisdn) == ["terminated", "recycled"]


async def test_a_number_with_a_record_left_is_locked_until_a_person_has_looked(
    made: System,
) -> None:
    msisdn = await opened(made, "9002")
    home = (await call(made, "GET", f"/v1/numbers/{msisdn}"))["hlr"]
    await terminated(made, "9002", msisdn, days=30)
    await until_state(made, msisdn, "quarantined")
    await add_record(made, home, msisdn)

    answer = await call(made, "POST", f"/v1/numbers/{msisdn}/recycle", {"operator_id": "anna"})

    assert answer["found"] == "recordFound"
    assert STRANGER in answer["detail"]
    await until_state(made, msisdn, "locked")
    words = {"cause": "record cleared by hand", "operator_id": "anna"}
    assert (await call(made, "POST", f"/v1/numbers/{msisdn}/unlock", words))["state"] == "idle"
    assert await past(made, msisdn) == ["terminated", "recordFound", "unlocked"]


async def test_an_opening_that_finds_its_number_unclean_fails_and_locks_it(made: System) -> None:
    home = {"first": LONELY, "last": LONELY, "province": "200", "hlr": "hlr1"}
    await call(made, "POST", "/v1/pools", {"name": "lonely"})
    await call(made, "POST", "/v1/pools/lonely/ranges", home)
    await add_record(made, "hlr1", LONELY, imsi="001010000000078")

    activation = {"type": "MEMBER_ACTIVATE", "user_id": "9003", "ec_code": "EC1"}
    receipt = await order(made, "open-9003", pool="lonely", **activation)

    assert receipt["result"] == "failed"
    await until_state(made, LONELY, "locked")
    assert await past(made, LONELY) == ["rollBackUnproven"]


async def test_a_user_whose_number_is_locked_goes_on_and_leaves_it_locked(made: System) -> None:
    msisdn = await opened(made, "9004")
    words = {"cause": "complaint", "operator_id": "anna"}

    locked = await call(made, "POST", f"/v1/numbers/{msisdn}/lock", words)
    await terminated(made, "9004", msisdn, days=0)

    assert (locked["state"], locked["user_id"]) == ("locked", "9004")
    await until_state(made, msisdn, "locked")
    assert await past(made, msisdn) == ["locked", "terminated"]
