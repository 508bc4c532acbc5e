"""The registry with headquarters' hlrd behind it: every change is an order there, once, and how the
order ends goes down level by level.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hlrd.domain.outcome import Verdict
from loadtest.business.message import Party
from loadtest.faults import Fault, Latency, Once, Profile
from loadtest.relay.core import Role
from loadtest.relay.records import FAILED, ON_ITS_WAY
from loadtest.relay.server import Server
from loadtest.stack import free_port
from tests.adapters.conformance import KEY, KI
from tests.adapters.desk import Desk
from tests.loadtest.relay.fake_hlrd import FakeHLRD, an_hlrd
from tests.loadtest.relay.rig import (
    WITH_PARTNERS,
    cancel,
    driving,
    hop_to,
    members,
    partner_hops,
    report,
    serving,
    subscribe,
    subscribe_member,
    unsubscribe,
    unsubscribe_member,
)
from tests.ne.rig import until

MEMBER = "/members/1064900000001"
LOST = [Fault.CUT_BEFORE, Fault.HANG, Fault.WITHHOLD, Fault.CUT_AFTER, Fault.RESTART]
GOOD = {Verdict.APPLIED, Verdict.DONE}


@pytest_asyncio.fixture
async def hlrd() -> AsyncIterator[FakeHLRD]:
    async with an_hlrd() as hlrd:
        yield hlrd


@asynccontextmanager
async def headquarters(
    hlrd: FakeHLRD, profile: Profile | None = None, **settings: Any
) -> AsyncIterator[tuple[Server, Server, Desk]]:
    """Registry, relay and a province's driver."""
    behind = hlrd.known_as(Party.HLRD_HQ)
    async with (
        serving(Role.PBOSS, profile, hlrd=behind, **settings) as registry,
        serving(Role.BOSS1, hop=hop_to(registry), caller="省 {province}") as relay,
        driving(relay) as desk,
    ):
        yield registry, relay, desk


def is_ordered(registry: Server) -> bool:
    """Whether hlrd has taken the order for the member."""
    record = registry.system.records.get(MEMBER)
    return record is not None and record.order_id != ""


async def test_each_change_is_an_order_of_its_kind_and_done_when_that_is(hlrd: FakeHLRD) -> None:
    life = [subscribe(), report(), subscribe_member(), unsubscribe_member(), cancel()]
    async with headquarters(hlrd) as (registry, relay, desk):
        outcomes = [await desk.carry_out(task) for task in (*life, unsubscribe())]

        assert {outcome.verdict for outcome in outcomes} <= GOOD
        assert registry.system.records == relay.system.records == {}
    assert hlrd.kinds() == [
        "EC_PRODUCT_SUBSCRIBE",
        "MEMBER_OPEN",
        "MEMBER_PRODUCT_SUBSCRIBE",
        "MEMBER_PRODUCT_UNSUBSCRIBE",
        "MEMBER_REMOVE",
        "EC_PRODUCT_CANCEL",
    ]
    [opened] = hlrd.of_kind("MEMBER_OPEN")
    assert (opened["ki"], opened["keyid"], opened["province"]) == (KI, KEY.k4sno, "HB")
    assert (opened["ec_code"], opened["route"]) == ("E1001", "BOSS1")
    assert {order["operator_id"] for order in hlrd.orders.values()} == {"pboss"}
    assert len(hlrd.posts) == len(hlrd.orders)


async def test_headquarters_is_told_of_partners_and_leaves_telling_them_to_the_bboss(
    hlrd: FakeHLRD,
) -> None:
    async with (
        serving(Role.PBOSS, hlrd=hlrd.known_as()) as registry,
        serving(Role.PARTNER) as gd,
        serving(Role.PARTNER) as sc,
        serving(
            Role.BBOSS, hop=hop_to(registry), partners=partner_hops({"GD": gd, "SC": sc})
        ) as relay,
        driving(relay) as desk,
    ):
        assert (await desk.carry_out(subscribe(WITH_PARTNERS))).verdict in GOOD
        assert (await desk.carry_out(report())).verdict in GOOD
        assert registry.system.publications == {}

    subscribed, opened = hlrd.orders.values()
    assert subscribed["partner_provinces"] == ["GD", "SC"]
    assert (subscribed["scope"], subscribed["route"]) == ("crossProvince", "BBOSS")
    assert opened["route"] == "BBOSS"


async def test_a_member_is_pending_until_the_final_receipt_whatever_interim_ones_say(
    hlrd: FakeHLRD,
) -> None:
    hlrd.rule("MEMBER_OPEN", None)
    async with headquarters(hlrd) as (registry, relay, desk):
        await desk.carry_out(subscribe())
        await desk.ask(report())
        await until(lambda: "MEMBER_OPEN" in hlrd.kinds())
        [order_id] = [order["order_id"] for order in hlrd.of_kind("MEMBER_OPEN")]
        hlrd.close(order_id, {"result": "fallout", "code": "NE_FAILED"})
        hlrd.close(order_id, {"result": "fallout", "code": "NE_FAILED"})
        asked = registry.record.commands["QUERY"]
        await until(lambda: registry.record.commands["QUERY"] > asked + 3)

        assert registry.system.records[MEMBER].state == ON_ITS_WAY
        assert relay.system.records[MEMBER].state == ON_ITS_WAY
        hlrd.close(order_id, {"result": "succeeded"})
        assert (await desk.carry_out(report())).verdict in GOOD
    assert len(hlrd.of_kind("MEMBER_OPEN")) == 1


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        (
            {"result": "failed", "code": "NE_REFUSED", "ne": "hlr1", "ne_text": "no template"},
            "NE_REFUSED",
            "hlr1 no template",
        ),
        (
            {"result": "failed", "code": "NE_REFUSED", "marks": ["NUMBER_LOCKED"], "ne": "hlr1"},
            "NUMBER_LOCKED",
            "hlr1",
        ),
        ({"status": 409, "code": "USER_EXISTS", "detail": "he is there"}, "USER_EXISTS", "there"),
    ],
)
async def test_what_fails_at_the_far_end_comes_down_with_its_code_and_its_words(
    hlrd: FakeHLRD, ending: Mapping[str, Any], code: str, words: str
) -> None:
    hlrd.rule("MEMBER_OPEN", ending)
    async with headquarters(hlrd) as (registry, relay, desk):
        await desk.carry_out(subscribe())
        outcome = await desk.carry_out(report())

        assert outcome.code == code
        assert outcome.text.startswith("hlrd: ")
        assert words in outcome.text
        for server in (registry, relay):
            assert server.system.records[MEMBER].state == FAILED
            assert server.system.sealed == {}

        hlrd.rule("MEMBER_OPEN", {"result": "succeeded"})
        assert (await desk.carry_out(report())).verdict in GOOD
        assert members(registry) == members(relay) == ["1064900000001"]


async def test_a_report_that_failed_is_taken_back_without_an_order(hlrd: FakeHLRD) -> None:
    hlrd.rule("MEMBER_OPEN", {"result": "failed", "code": "NE_REFUSED"})
    async with headquarters(hlrd) as (registry, relay, desk):
        await desk.carry_out_all([subscribe(), report()])
        assert (await desk.carry_out(cancel())).verdict in GOOD

        assert members(registry) == members(relay) == []
    assert "MEMBER_REMOVE" not in hlrd.kinds()


async def test_a_removal_of_what_headquarters_does_not_know_is_done(hlrd: FakeHLRD) -> None:
    hlrd.rule("MEMBER_REMOVE", {"status": 404, "code": "USER_UNKNOWN"})
    hlrd.rule("MEMBER_PRODUCT_UNSUBSCRIBE", {"result": "failed", "code": "NOT_A_MEMBER"})
    async with headquarters(hlrd) as (_, relay, desk):
        await desk.carry_out_all([subscribe(), report(), subscribe_member()])
        outcomes = [await desk.carry_out(task) for task in (unsubscribe_member(), cancel())]

        assert {outcome.verdict for outcome in outcomes} <= GOOD
        assert members(relay) == []


async def test_a_removal_that_fails_leaves_the_member_standing(hlrd: FakeHLRD) -> None:
    hlrd.rule("MEMBER_REMOVE", {"result": "failed", "code": "NE_REFUSED"})
    async with headquarters(hlrd) as (registry, _, desk):
        await desk.carry_out_all([subscribe(), report()])
        assert (await desk.carry_out(cancel())).code == "NE_REFUSED"
        in_use = await desk.carry_out(unsubscribe())

        assert in_use.code == "EC_HAS_MEMBERS"
        assert registry.system.records[MEMBER].standing is not None


async def test_a_key_is_forgotten_once_it_was_ordered_and_shown_by_nothing(
    hlrd: FakeHLRD, tmp_path: Path
) -> None:
    state_file = tmp_path / "state"
    hlrd.rule("MEMBER_OPEN", None)
    faults = Profile(once=[Once(Fault.WITHHOLD, "MEMBER_OPEN")])
    async with headquarters(hlrd, faults, state_file=state_file) as (registry, relay, desk):
        await desk.carry_out(subscribe())
        await desk.ask(report())
        await until(lambda: is_ordered(registry))

        assert registry.system.sealed == {}
        seen = [registry.shown(command) for _, command, *_ in registry.record.log()]
        seen += [message.detail for _, message in registry.messages.after(0)]
        seen += [message.detail for _, message in relay.messages.after(0)]
        seen.append(msgspec.json.encode([registry.dump(), registry.stats()]).decode())
        seen.append(str([vars(way) for way in registry._ways._hlrds.values()]))
        assert [each for each in seen if KI.lower() in each.lower()] == []
    async with serving(Role.PBOSS, hlrd=hlrd.known_as(), state_file=state_file):
        assert KI not in state_file.read_text()


@pytest.mark.parametrize("fault", LOST)
async def test_what_is_lost_on_the_way_to_hlrd_is_sent_again_and_done_once(
    hlrd: FakeHLRD, fault: Fault
) -> None:
    kinds = ("EC_PRODUCT_SUBSCRIBE", "MEMBER_OPEN", "MEMBER_REMOVE")
    faults = Profile(
        once=[Once(fault, kind) for kind in kinds],
        latency_by_command={"MEMBER_OPEN": Latency(p50_s=0.05)},
    )
    async with headquarters(hlrd, faults) as (registry, _, desk):
        outcomes = await desk.carry_out_all([subscribe(), report(1), report(2), cancel(1)])

        assert {outcome.verdict for outcome in outcomes} <= GOOD
        assert registry.faults.once_left == []
        assert members(registry) == ["1064900000002"]
    assert sorted(hlrd.kinds()) == sorted([*kinds, "MEMBER_OPEN"])


async def test_restarts_of_hlrd_and_answers_lost_by_it_change_nothing(hlrd: FakeHLRD) -> None:
    async with headquarters(hlrd) as (registry, _, desk):
        await hlrd.stop()
        await desk.ask(subscribe())
        hlrd.answers_lost = 2
        await hlrd.start()
        assert (await desk.carry_out(subscribe())).verdict in {*GOOD, Verdict.NO_CHANGE}

        hlrd.rule("MEMBER_OPEN", None)
        await desk.ask(report())
        await until(lambda: is_ordered(registry))
        await hlrd.stop()
        hlrd.close(registry.system.records[MEMBER].order_id, {"result": "succeeded"})
        await hlrd.start()
        assert (await desk.carry_out(report())).verdict in GOOD
    assert sorted(hlrd.kinds()) == ["EC_PRODUCT_SUBSCRIBE", "MEMBER_OPEN"]


async def test_the_registry_goes_on_after_a_restart_with_what_was_and_was_not_ordered(
    hlrd: FakeHLRD, tmp_path: Path
) -> None:
    port, state_file = free_port(), tmp_path / "state"
    hlrd.rule("MEMBER_OPEN", None)
    behind = hlrd.known_as()

    def registry(profile: Profile | None = None) -> Any:
        return serving(Role.PBOSS, profile, port=port, hlrd=behind, state_file=state_file)

    stuck = Profile(once=[Once(Fault.DELAY, "MEMBER_OPEN")], delay_s=600.0)
    async with serving(Role.BOSS1, hop=hop_to(port)) as relay, driving(relay) as desk:
        async with registry() as first:
            await desk.carry_out(subscribe())
            await desk.ask(report(1))
            await until(lambda: is_ordered(first))
            first.faults.put(stuck)
            await desk.ask(report(2))
            await until(lambda: len(first.system.records) == 3)
        assert len(hlrd.of_kind("MEMBER_OPEN")) == 1
        [ordered] = hlrd.of_kind("MEMBER_OPEN")
        hlrd.close(ordered["order_id"], {"result": "succeeded"})
        hlrd.rule("MEMBER_OPEN", {"result": "succeeded"})
        async with registry() as second:
            outcomes = [await desk.carry_out(report(n), is_in_doubt=True) for n in (1, 2)]

            assert {outcome.verdict for outcome in outcomes} <= GOOD
            assert members(second) == ["1064900000001", "1064900000002"]
    assert len(hlrd.posts) == len(hlrd.orders) == 3


async def test_a_registry_that_lost_its_state_orders_nothing_twice(hlrd: FakeHLRD) -> None:
    port = free_port()
    hlrd.rule("EC_PRODUCT_SUBSCRIBE", None)
    async with serving(Role.BOSS1, hop=hop_to(port)) as relay, driving(relay) as desk:
        async with serving(Role.PBOSS, port=port, hlrd=hlrd.known_as()):
            await desk.ask(subscribe())
            await until(lambda: hlrd.kinds() == ["EC_PRODUCT_SUBSCRIBE"])
        hlrd.close(next(iter(hlrd.orders)), {"result": "succeeded"})
        async with serving(Role.PBOSS, port=port, hlrd=hlrd.known_as()):
            assert (await desk.carry_out(subscribe(), is_in_doubt=True)).verdict in GOOD
    assert len(hlrd.orders) == 1
    assert len(hlrd.posts) == 2


async def test_two_provinces_may_number_their_changes_alike(hlrd: FakeHLRD) -> None:
    async with headquarters(hlrd) as (registry, _, desk):
        await desk.carry_out(subscribe())
        alike = [msgspec.structs.replace(report(number), transaction="77") for number in (1, 2)]
        outcomes = await desk.carry_out_all(alike)

        assert {outcome.verdict for outcome in outcomes} <= GOOD
        assert members(registry) == ["1064900000001", "1064900000002"]
    assert len({order["order_id"] for order in hlrd.of_kind("MEMBER_OPEN")}) == 2


async def test_a_member_waits_while_its_enterprise_is_pending_at_headquarters(
    hlrd: FakeHLRD,
) -> None:
    hlrd.rule("EC_PRODUCT_SUBSCRIBE", None)
    async with headquarters(hlrd) as (registry, _, desk):
        async with driving(registry) as near:
            assert (await near.ask(subscribe())).verdict is Verdict.PENDING
            assert (await near.ask(report())).code == "EC_PENDING"
            await until(lambda: hlrd.kinds() == ["EC_PRODUCT_SUBSCRIBE"])
            hlrd.close(next(iter(hlrd.orders)), {"result": "succeeded"})
        assert (await desk.carry_out(report())).verdict in GOOD


async def test_an_account_that_hlrd_refuses_ends_the_registry(
    hlrd: FakeHLRD, capsys: pytest.CaptureFixture[str]
) -> None:
    hlrd.refuses_account = True
    async with serving(Role.PBOSS, hlrd=hlrd.known_as()) as registry:
        await until(registry.stopping.is_set)

    said = capsys.readouterr().err
    assert "LOGIN_REFUSED" in said
    assert "open sesame" not in said


async def test_messages_tell_the_way_up_and_level_by_level_down(hlrd: FakeHLRD) -> None:
    async with headquarters(hlrd) as (registry, relay, desk):
        await desk.carry_out(subscribe())
        await desk.carry_out(report())
        noted = [*relay.messages.after(0), *registry.messages.after(0)]

    told = sorted((message for _, message in noted), key=lambda message: message.at)
    story = [(each.sender, each.receiver, each.name) for each in told if "REPORT" in each.detail]
    report_name = "成员数据上报 (MSISDN、IMSI、KI)"
    assert story == [
        ("省 HB", Party.BOSS1, report_name),
        (Party.BOSS1, Party.PBOSS, report_name),
        (Party.PBOSS, Party.BOSS1, "成员开通反馈"),
        (Party.BOSS1, "省 HB", "成员开通反馈"),
    ]
    orders = [
        (each.sender, each.name, each.is_answer) for each in told if "MEMBER_OPEN" in each.detail
    ]
    assert orders[0] == (Party.PBOSS, "开通类订单请求", False)
    assert orders[-1] == (Party.HLRD_HQ, "开通类订单响应", True)
    assert told.index(next(each for each in told if "MEMBER_OPEN" in each.detail)) > 0
