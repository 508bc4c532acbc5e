"""Relays and registry by the real driver: what goes up arrives once, and its ending comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from hlrd.domain.identity import CardKey
from hlrd.domain.outcome import Verdict
from hlrd.ports import Intent
from loadtest.faults import Chance, Fault, Latency, Once, Profile
from loadtest.relay.core import Role
from loadtest.relay.journal import StateFileDamaged
from loadtest.relay.records import CONFIRMED
from loadtest.relay.server import Server, Settings
from loadtest.stack import free_port
from tests.adapters.conformance import KEY, KI
from tests.adapters.desk import Desk
from tests.loadtest.relay.rig import (
    PARTNERS,
    WITH_PARTNERS,
    cancel,
    driving,
    effects,
    hop_to,
    members,
    partner_hops,
    report,
    serving,
    subscribe,
    unsubscribe,
)
from tests.ne.rig import until

RELAYS = pytest.mark.parametrize("role", [Role.BBOSS, Role.BOSS1])
UNHARMED = [each for each in Fault if each is not Fault.REFUSE]


@pytest_asyncio.fixture
async def registry() -> AsyncIterator[Server]:
    async with serving(Role.PBOSS) as registry:
        yield registry


@RELAYS
async def test_a_report_is_done_when_headquarters_has_confirmed_it(
    registry: Server, role: Role
) -> None:
    async with serving(role, hop=hop_to(registry)) as relay, driving(relay) as desk:
        first = await desk.ask(subscribe())
        outcomes = await desk.carry_out_all([subscribe(), report(1), report(2), cancel(1)])

    assert first.verdict is Verdict.PENDING
    assert {each.verdict for each in outcomes} <= {Verdict.APPLIED, Verdict.NO_CHANGE, Verdict.DONE}
    assert members(registry) == members(relay) == ["1064900000002"]
    assert registry.system.records["/members/1064900000002"].content["key_index"] == KEY.k4sno


async def test_headquarters_itself_asks_the_registry_with_nothing_between(
    registry: Server,
) -> None:
    async with driving(registry) as desk:
        outcomes = await desk.carry_out_all([subscribe(), report(1), cancel(1), unsubscribe()])

    assert [each.verdict for each in outcomes] == [Verdict.DONE] * 4
    assert registry.system.records == {}


@RELAYS
async def test_no_log_no_dump_and_no_receipt_shows_a_key(registry: Server, role: Role) -> None:
    async with serving(role, hop=hop_to(registry)) as relay, driving(relay) as desk:
        relay.faults.put(
            Profile(once=[Once(Fault.BUSY, "REPORT"), Once(Fault.CUT_BEFORE, "REPORT")])
        )
        registry.faults.put(Profile(latency=Latency(p50_s=0.05)))
        outcomes = await desk.carry_out_all([subscribe(), report(1)])
        pending = asyncio.ensure_future(desk.carry_out(report(2)))
        await until(lambda: len(relay.system.sealed) == 1)
        on_the_way = [*seen(relay), *seen(registry)]
        await pending

    said = [*on_the_way, *seen(relay), *seen(registry), *map(str, outcomes)]
    said += [desk.driver.masked(report(1))]
    assert any("REPORT" in each or "/members/" in each for each in said)
    assert [each for each in said if KI.lower() in each.lower()] == []
    assert relay.system.sealed == {}


def seen(server: Server) -> list[str]:
    """All that its control port shows."""
    log = [server.shown(command) for _, command, *_ in server.record.log()]
    dump = msgspec.json.encode([server.dump(), server.stats()]).decode()
    return [*log, dump, *(each.subject for each in server.record.effects())]


async def test_a_clear_key_is_never_sent(registry: Server) -> None:
    clear = CardKey(KI, 0, "MILENAGE", "USIM")
    async with driving(registry, key=clear) as desk:
        await desk.carry_out(subscribe())
        outcome = await desk.carry_out(report(1))

    assert (outcome.verdict, outcome.code) == (Verdict.PERMANENT, "NOT_ENCODABLE")
    assert KI not in outcome.text
    assert registry.record.commands["REPORT"] == 0


async def test_what_headquarters_refuses_comes_back_with_the_hop_and_its_code(
    registry: Server,
) -> None:
    async with serving(Role.BOSS1, hop=hop_to(registry)) as relay, driving(relay) as desk:
        unknown = await desk.carry_out(report(1))
        await desk.carry_out_all([subscribe(), report(1), report(2)])
        in_use = await desk.carry_out(unsubscribe())

    assert (unknown.verdict, unknown.code) == (Verdict.PERMANENT, "EC_UNKNOWN")
    assert unknown.text.startswith("pboss_registry: ")
    assert (in_use.verdict, in_use.code) == (Verdict.PERMANENT, "EC_HAS_MEMBERS")
    assert members(registry) == ["1064900000001", "1064900000002"]


async def test_a_product_that_the_enterprise_has_not_got_is_refused(registry: Server) -> None:
    other = msgspec.structs.replace(subscribe().details, product="P200")
    async with serving(Role.BOSS1, hop=hop_to(registry)) as relay, driving(relay) as desk:
        outcomes = await desk.carry_out_all([subscribe(other), report(1)])

    assert [each.verdict for each in outcomes] == [Verdict.APPLIED, Verdict.PERMANENT]
    assert outcomes[1].code == "PRODUCT_NOT_SUBSCRIBED"


async def test_a_registry_that_is_away_leaves_the_report_pending_until_it_is_back() -> None:
    port = free_port()
    async with serving(Role.BOSS1, hop=hop_to(port)) as relay, driving(relay) as desk:
        ending = asyncio.ensure_future(desk.carry_out(subscribe()))
        await until(lambda: len(desk.waited) > 3)
        assert {each.verdict for each in desk.waited} == {Verdict.PENDING}
        async with serving(Role.PBOSS, port=port):
            outcome = await ending

    assert outcome.verdict is Verdict.APPLIED


async def test_a_relay_goes_on_after_a_restart_with_what_was_on_its_way(tmp_path: Path) -> None:
    port, state_file = free_port(), tmp_path / "state"

    @asynccontextmanager
    async def run() -> AsyncIterator[Desk]:
        async with (
            serving(Role.BOSS1, hop=hop_to(port), state_file=state_file) as relay,
            driving(relay) as desk,
        ):
            yield desk

    async with run() as desk:
        await desk.ask(subscribe())
    async with serving(Role.PBOSS, port=port) as registry:
        async with run() as desk:
            subscribed = await desk.carry_out(subscribe(), is_in_doubt=True)
            registry.faults.put(Profile(latency=Latency(p50_s=600.0)))
            await desk.ask(report(1))
        registry.faults.put(Profile())
        async with run() as desk:
            reported = await desk.carry_out(report(1), is_in_doubt=True)

        assert [subscribed.verdict, reported.verdict] == [Verdict.APPLIED] * 2
        assert effects(registry)["REPORT", "/members/1064900000001"] == 1


@pytest.mark.parametrize("command", ["SUBSCRIBE", "REPORT", "CANCEL"])
@pytest.mark.parametrize("fault", UNHARMED)
async def test_a_fault_of_the_relay_changes_nothing_at_headquarters(
    registry: Server, fault: Fault, command: str
) -> None:
    profile = Profile(once=[Once(fault, command)], restart_s=0.05)
    async with serving(Role.BBOSS, profile, hop=hop_to(registry)) as relay, driving(relay) as desk:
        await desk.carry_out_all([subscribe(), report(1), report(2), cancel(1)])

        assert relay.faults.once_left == []
    assert members(registry) == ["1064900000002"]
    assert set(effects(registry).values()) == {1}


@pytest.mark.parametrize("fault", UNHARMED)
async def test_a_fault_of_the_registry_is_overcome_by_the_relay(
    registry: Server, fault: Fault
) -> None:
    faults = [Once(fault, command) for command in ("SUBSCRIBE", "REPORT", "CANCEL")]
    registry.faults.put(Profile(once=faults, restart_s=0.05))
    async with serving(Role.BOSS1, hop=hop_to(registry)) as relay, driving(relay) as desk:
        outcomes = await desk.carry_out_all([subscribe(), report(1), report(2), cancel(2)])

    assert {each.verdict for each in outcomes} <= {Verdict.APPLIED, Verdict.DONE}
    assert registry.faults.once_left == []
    assert members(registry) == ["1064900000001"]
    assert set(effects(registry).values()) == {1}


async def test_partner_provinces_get_a_product_once_though_messages_are_lost(
    registry: Server,
) -> None:
    lossy = Profile(chance=Chance(withhold=0.2, cut_before=0.2, cut_after=0.3))
    async with (
        serving(Role.PARTNER, lossy, name="GD", seed=1) as gd,
        serving(Role.PARTNER, lossy, name="SC", seed=2) as sc,
        serving(
            Role.BBOSS, hop=hop_to(registry), partners=partner_hops({"GD": gd, "SC": sc})
        ) as relay,
        driving(relay) as desk,
    ):
        outcome = await desk.carry_out(subscribe(WITH_PARTNERS))
        await until(lambda: not relay.system.publications, within_s=20.0)

        assert outcome.verdict is Verdict.APPLIED
        for partner in (gd, sc):
            assert effects(partner) == {("SUBSCRIBE", "/ecs/E1001/products/P100"): 1}
            [held] = partner.dump()
            assert (held.state, held.content["lead_province"]) == (CONFIRMED, "HB")
        assert [
            count for (command, _), count in effects(relay).items() if command == "PUBLISH"
        ] == [
            1,
            1,
        ]


async def test_partners_are_told_only_of_what_headquarters_confirmed(registry: Server) -> None:
    async with (
        serving(Role.PARTNER) as gd,
        serving(Role.BBOSS, hop=hop_to(registry), partners=partner_hops({"GD": gd})) as relay,
        driving(relay) as desk,
    ):
        unreachable = await desk.carry_out(subscribe(WITH_PARTNERS))

        assert (unreachable.verdict, unreachable.code) == (Verdict.PERMANENT, "PARTNER_UNKNOWN")
        assert gd.dump() == registry.dump() == []


async def test_a_partner_that_is_away_is_told_the_newest_when_it_is_back(
    registry: Server, tmp_path: Path
) -> None:
    port, state_file = free_port(), tmp_path / "state"
    away = partner_hops(dict.fromkeys(PARTNERS, port))
    settings: dict[str, Any] = {
        "hop": hop_to(registry),
        "partners": away,
        "state_file": state_file,
    }
    async with serving(Role.BBOSS, **settings) as relay, driving(relay) as desk:
        await desk.carry_out(subscribe(WITH_PARTNERS))
        await desk.carry_out(unsubscribe(WITH_PARTNERS))
    async with serving(Role.PARTNER, port=port) as partner:
        async with serving(Role.BBOSS, **settings) as relay:
            assert len(relay.system.publications) == len(PARTNERS)
            await until(lambda: not relay.system.publications)

        assert partner.dump() == []


async def test_in_province_business_never_reaches_the_bboss(registry: Server) -> None:
    async with (
        serving(Role.BBOSS, hop=hop_to(registry)) as bboss,
        serving(Role.BOSS1, hop=hop_to(registry)) as boss1,
        driving(boss1) as desk,
    ):
        await desk.carry_out_all([subscribe(), report(1)])
        with_partners = await desk.carry_out(subscribe(WITH_PARTNERS))

    assert with_partners.code == "NOT_ENCODABLE"
    assert sum(bboss.record.commands.values()) == 0
    assert members(registry) == ["1064900000001"]


async def test_a_member_waits_for_the_product_of_its_enterprise(registry: Server) -> None:
    registry.faults.put(Profile(latency_by_command={"SUBSCRIBE": Latency(p50_s=0.2)}))
    async with serving(Role.BOSS1, hop=hop_to(registry)) as relay, driving(relay) as desk:
        await desk.ask(subscribe())
        early = await desk.ask(report(1))
        ending = await desk.carry_out(report(1))

    assert (early.verdict, early.code) == (Verdict.TRANSIENT, "EC_PENDING")
    assert ending.verdict is Verdict.APPLIED


async def test_a_number_or_a_card_is_one_members_only(registry: Server) -> None:
    async with driving(registry) as desk:
        await desk.carry_out_all([subscribe(), report(1)])
        binding = report(1).binding
        other_user = msgspec.structs.replace(binding, user_id="2002")
        other_number = msgspec.structs.replace(binding, msisdn="1064900000009")
        outcomes = [
            await desk.ask(msgspec.structs.replace(report(2), binding=each))
            for each in (other_user, other_number)
        ]
        read_back = await desk.ask(
            msgspec.structs.replace(report(2), binding=other_user), Intent.READ_BACK
        )

    assert [each.code for each in outcomes] == ["OTHER_USER", "IMSI_TAKEN"]
    assert [each.verdict for each in (*outcomes, read_back)] == [
        Verdict.EXISTS,
        Verdict.PERMANENT,
        Verdict.DIFFERENT,
    ]


async def test_a_damaged_state_file_is_told_by_its_line_and_without_a_key(tmp_path: Path) -> None:
    state_file = tmp_path / "state"
    state_file.write_text(f'{{"sealed": {{"value": "{KI}"}}, "record": 1}}\n')
    server = Server(Settings(Role.PBOSS, state_file=state_file), Profile())

    with pytest.raises(StateFileDamaged, match="line 1") as damaged:
        await server.open("127.0.0.1", 0)
    await server.close()

    assert KI not in repr(damaged.getrepr(style="long"))
