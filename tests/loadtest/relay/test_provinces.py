"""The BBOSS between provinces that have an hlrd: products go to partners, members to the lead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest_asyncio
from msgspec.structs import replace

from hlrd.domain.operation import Details, Operation, Task
from loadtest.business.message import Party
from loadtest.relay.core import Role
from loadtest.relay.server import Server
from tests.adapters.conformance import KI
from tests.adapters.desk import Desk
from tests.loadtest.relay.fake_hlrd import FakeHLRD, an_hlrd
from tests.loadtest.relay.rig import (
    ALONE,
    cancel,
    driving,
    effects,
    hop_to,
    report,
    serving,
    subscribe,
    unsubscribe,
)
from tests.ne.rig import until

LEAD: Final = "200"
PARTNER: Final = "280"


def across(*partners: str, ec_name: str = "示例集团") -> Details:
    attributes = {"lead_province": LEAD, "partner_provinces": ",".join(partners)}
    return replace(ALONE, ec_name=ec_name, attributes={**ALONE.attributes, **attributes})


def of_partner(number: int, operation: Operation = Operation.REPORT_MEMBER) -> Task:
    return report(number, operation, province=PARTNER)


@pytest_asyncio.fixture
async def lead() -> AsyncIterator[FakeHLRD]:
    async with an_hlrd() as hlrd:
        yield hlrd


@pytest_asyncio.fixture
async def partner() -> AsyncIterator[FakeHLRD]:
    async with an_hlrd() as hlrd:
        yield hlrd


@asynccontextmanager
async def a_bboss(
    lead: FakeHLRD, partner: FakeHLRD, **settings: Any
) -> AsyncIterator[tuple[Server, Desk]]:
    provinces = {LEAD: lead.known_as("省 200"), PARTNER: partner.known_as("省 280")}
    async with (
        serving(Role.PBOSS) as registry,
        serving(Role.BBOSS, hop=hop_to(registry), provinces=provinces, **settings) as bboss,
        driving(bboss) as desk,
    ):
        yield bboss, desk


async def test_a_partner_gets_the_product_and_the_lead_each_member_of_the_partner_once(
    lead: FakeHLRD, partner: FakeHLRD
) -> None:
    async with a_bboss(lead, partner) as (bboss, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        await desk.carry_out_all([of_partner(1), of_partner(2), report(3, province=LEAD)])
        await until(lambda: not bboss.system.publications)

    [published] = partner.orders.values()
    assert published["type"] == "PARTNER_PRODUCT_PUBLISH"
    assert (published["lead_province"], published["province"]) == (LEAD, PARTNER)
    assert (published["ec_code"], published["product"]) == ("E1001", "P100")
    assert {order["type"] for order in lead.orders.values()} == {"PARTNER_MEMBER_IMPORT"}
    imported = {order["msisdn"]: order["partner_province"] for order in lead.orders.values()}
    assert imported == {"1064900000001": PARTNER, "1064900000002": PARTNER}
    assert len(lead.posts) == len(lead.orders) == 2
    assert {count for (name, _), count in effects(bboss).items() if name == "PUBLISH"} == {1}
    assert KI not in str([*lead.posts, *partner.posts])


async def test_a_province_that_is_away_refuses_or_fails_is_told_again_until_it_has_it(
    lead: FakeHLRD, partner: FakeHLRD
) -> None:
    refusal = {"status": 404, "code": "PRODUCT_UNKNOWN"}
    failure = {"result": "failed", "code": "EC_UNKNOWN"}
    partner.rule("PARTNER_PRODUCT_PUBLISH", refusal)
    lead.rule("PARTNER_MEMBER_IMPORT", failure)
    async with a_bboss(lead, partner) as (bboss, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        await until(lambda: len(partner.posts) > 1)
        assert partner.orders == {}
        partner.rule("PARTNER_PRODUCT_PUBLISH", {"result": "succeeded"})

        await desk.carry_out(of_partner(1))
        await until(lambda: len(lead.orders) > 1)
        await lead.stop()
        lead.rule("PARTNER_MEMBER_IMPORT", {"result": "succeeded"})
        lead.answers_lost = 1
        await lead.start()
        await until(lambda: not bboss.system.publications)

    succeeded = [each for each in lead.receipts if each["result"] == "succeeded"]
    assert len(succeeded) == 1
    assert len(partner.orders) == 1


async def test_a_restart_of_the_bboss_tells_what_was_not_told_and_nothing_twice(
    lead: FakeHLRD, partner: FakeHLRD, tmp_path: Path
) -> None:
    state_file = tmp_path / "state"
    partner.rule("PARTNER_PRODUCT_PUBLISH", None)
    async with a_bboss(lead, partner, state_file=state_file) as (_, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        await desk.carry_out(of_partner(1))
        await until(lambda: len(partner.orders) == len(lead.orders) == 1)
    partner.close(next(iter(partner.orders)), {"result": "succeeded"})
    async with a_bboss(lead, partner, state_file=state_file) as (bboss, _):
        await until(lambda: not bboss.system.publications)
    async with a_bboss(lead, partner, state_file=state_file) as (bboss, _):
        assert bboss.system.publications == {}

    assert len(partner.orders) == len(lead.orders) == 1


async def test_partners_hear_that_a_product_is_over_and_who_is_no_partner_any_more(
    lead: FakeHLRD, partner: FakeHLRD
) -> None:
    async with a_bboss(lead, partner) as (bboss, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        without = replace(subscribe(across(LEAD)), transaction="7")
        await desk.carry_out(without)
        await until(lambda: "EC_PRODUCT_CANCEL" in partner.kinds())
        await desk.carry_out(unsubscribe(across(LEAD)))
        await until(lambda: not bboss.system.publications)

    assert partner.kinds() == ["PARTNER_PRODUCT_PUBLISH", "EC_PRODUCT_CANCEL"]
    assert lead.kinds() == ["PARTNER_PRODUCT_PUBLISH", "EC_PRODUCT_CANCEL"]


async def test_a_member_that_leaves_or_whose_report_fails_is_told_to_nobody(
    lead: FakeHLRD, partner: FakeHLRD
) -> None:
    async with a_bboss(lead, partner) as (bboss, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        await desk.carry_out(of_partner(1))
        taken = replace(
            of_partner(2), binding=replace(of_partner(2).binding, imsi=of_partner(1).binding.imsi)
        )
        assert (await desk.carry_out(taken)).code == "IMSI_TAKEN"
        await desk.carry_out(cancel(1))
        await until(lambda: not bboss.system.publications)

    assert [order["msisdn"] for order in lead.orders.values()] == ["1064900000001"]


async def test_messages_name_what_goes_to_partner_and_lead(
    lead: FakeHLRD, partner: FakeHLRD
) -> None:
    async with a_bboss(lead, partner) as (bboss, desk):
        await desk.carry_out(subscribe(across(PARTNER)))
        await desk.carry_out(of_partner(1))
        await until(lambda: not bboss.system.publications)
        noted = [message for _, message in bboss.messages.after(0)]

    told = {(each.receiver, each.name) for each in noted if each.sender == Party.BBOSS}
    assert ("省 280", "发布到配合省") in told
    assert ("省 200", "配合省成员下发") in told
    assert (Party.PBOSS, "EC和产品订购信息同步") in told
