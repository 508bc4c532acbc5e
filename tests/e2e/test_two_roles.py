"""A province's hlrd and headquarters', each with its own database; 一级BOSS and 物联网PBOSS are
between them. What is asked of the one is done by the other, and told back level by level.
"""

import asyncio
import re
from typing import Any, Final

import pytest

from hlrd.domain.orders import Source
from loadtest.business.message import Party
from loadtest.faults import Chance, Fault, Once, Profile
from loadtest.flow.daemon import Daemon
from loadtest.flow.site import Site, standing
from loadtest.settings import POOL
from loadtest.simlot import Lot, NumberRange
from tests.e2e.group_system import APN

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

HLR: Final = "hlr1"
RANGE: Final = NumberRange("1064901000000", "1064901000199", HLR)
CARDS: Final = Lot("L1", HLR, "01", 0, 60, 1)
HELD: Final = "/ecs/EC1/products/TRACK"
PASSWORD: Final = "pboss-Password-1"
MANY: Final = 12
_KEY: Final = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{32}(?![0-9A-Fa-f])")


class Two:
    """Posts orders, and looks at what each side holds afterwards."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.province, self.hq = site.daemons["province"], site.daemons["hq"]

    async def order(self, kind: str, source: Source = Source.ESOP, **fields: Any) -> dict[str, Any]:
        """Of the province; its receipt, or what refused it."""
        return await posted(self.site, self.province, kind, source, **fields)

    async def failed(self, **fields: Any) -> dict[str, Any]:
        """An opening's receipt, with the number and the card that it was answered with."""
        taken = await posted(
            self.site, self.province, "MEMBER_ACTIVATE", Source.ESOP, wait_s=0, **fields
        )
        return {**taken, **await self.closed(taken["id"])}

    async def closed(self, id: str) -> dict[str, Any]:
        async def receipt() -> Any:
            shown = await self.province.get(f"/v1/work-orders/{id}")
            return shown["receipts"][-1] if shown["closed_at"] else None

        return dict(await self.site.until(receipt, f"order {id} is closed"))

    async def opened(self, user: int) -> dict[str, Any]:
        """Asked again, it is a repeat."""
        named: dict[str, Any] = {"user_id": str(user), "ec_code": "EC1"}
        return await self.order("MEMBER_ACTIVATE", order_id=f"M-{user}", **named)

    async def states(self, receipt: dict[str, Any]) -> tuple[str, str]:
        """Of the order's number, in the province and at headquarters."""
        shown = [
            await daemon.get(f"/v1/numbers/{receipt['msisdn']}")
            for daemon in (self.province, self.hq)
        ]
        return shown[0]["state"], shown[1]["state"]

    async def card(self, receipt: dict[str, Any]) -> str:
        return str((await self.province.get(f"/v1/sim-cards/{receipt['iccid']}"))["state"])

    async def at_hlr(self) -> list[str]:
        """National numbers of its subscribers."""
        rows = await self.site.dump(HLR)
        return sorted(row["isdn"][2:] for row in rows if row.get("isdn"))

    async def resources(self, name: str) -> list[str]:
        return sorted(row["resource"] for row in await self.site.dump(name))


async def posted(
    site: Site, daemon: Daemon, kind: str, source: Source, *, wait_s: int = 60, **fields: Any
) -> dict[str, Any]:
    header = {"order_id": f"T-{site.fresh()}", "province": "200", "operator_id": "op"}
    _, answer = await daemon.ask(
        "POST",
        "/v1/work-orders",
        {"type": kind, **header, **fields},
        source=source,
        headers={"Prefer": f"wait={wait_s}"} if wait_s else {},
    )
    return {**answer, **answer.get("receipt", {})}


async def two_daemons(site: Site) -> None:
    hq, province = site.add_hlrd("hq"), site.add_hlrd("province")
    platforms = {"nation": "nationwide_management", "class1": "class1_platform",
                 "gateway": "iot_gateway"}  # fmt: skip
    gateway = site.url("gateway") + "/gateway/v1"
    hops = {"nation": ("--hop", gateway)}
    await asyncio.gather(
        site.start_hlr(HLR, caller=Party.HLRD_HQ),
        site.start_dsmp(caller=Party.HLRD_HQ),
        *(
            site.start_platform(name, dialect, *hops.get(name, ()), party=name)
            for name, dialect in platforms.items()
        ),
        _start_relay(
            site, "pboss", "pboss_registry", "--hlrd", hq.url, "--account", "pboss",
            "--password-env", "PBOSS_PASSWORD",
        ),
        _start_relay(site, "boss1", "boss1_relay", "--hop", site.url("pboss") + "/pboss/v1"),
    )  # fmt: skip
    _configure(site, hq, platforms)
    province.put("groups", roles=["province"], homes=[HLR])
    site.drive(province, "boss1", "boss1_relay")
    await asyncio.gather(hq.start(), province.start())
    await _stock_up(site, hq, province)


def _configure(site: Site, hq: Daemon, platforms: dict[str, str]) -> None:
    hq.put("groups", roles=["hq"])
    site.drive(hq, HLR, "huawei_hlr")
    site.drive(hq, "dsmp1", "dsmp")
    for name, dialect in platforms.items():
        site.drive(hq, name, dialect)
    file = site.secret("pboss.password", PASSWORD)
    hq.add("accounts", source="PBOSS", user="pboss", password_file=str(file))


async def _start_relay(site: Site, name: str, role: str, *options: str) -> None:
    kept = ("--state-file", str(site.folder / f"{name}.state"))
    await site.start(
        name, "loadtest.relay", "--role", role, "--hop-every-s", "0.05", *kept, *options,
        party=name, environment={"PBOSS_PASSWORD": PASSWORD},
    )  # fmt: skip


async def _stock_up(site: Site, *daemons: Daemon) -> None:
    """Both know the numbers' home; the cards are the province's."""
    for daemon in daemons:
        await daemon.post("/v1/pools", {"name": POOL})
        numbers: dict[str, Any] = {
            "first": RANGE.first,
            "last": RANGE.last,
            "province": "200",
            "hlr": HLR,
        }
        await daemon.post(f"/v1/pools/{POOL}/ranges", numbers)
        product: dict[str, Any] = {
            "product": "TRACK",
            "product_version": 1,
            "name": "定位",
            "services": [APN],
        }
        told = {**product, "platforms": ["nation", "class1"] if daemon.name == "hq" else []}
        receipt = await posted(site, daemon, "PRODUCT_PUBLISH", Source.OPS, **told)
        assert receipt["result"] == "succeeded", receipt
    province = daemons[1]
    headers = {"Authorization": f"Bearer {province.token(Source.OPS)}", "Prefer": "wait=60",
               "Content-Type": "text/csv"}  # fmt: skip
    url = f"{province.url}/v1/sim-lots?province=200&hlr={HLR}"
    async with site.http.post(url, data=CARDS.csv(), headers=headers) as response:
        assert response.status == 201, await response.text()


async def test_a_province_and_headquarters_carry_out_together_what_one_is_asked() -> None:
    async with standing(two_daemons) as site:
        two = Two(site)
        ec: dict[str, Any] = {
            "ec_code": "EC1",
            "ec_name": "示例集团",
            "product": "TRACK",
            "product_class": 1,
        }
        sold = await two.order("EC_PRODUCT_SUBSCRIBE", **ec)
        assert sold["result"] == "succeeded", sold
        assert HELD in await two.resources("gateway")

        await what_takes_the_other_role_is_refused(two)
        await a_member_is_opened_has_a_product_and_leaves(two)
        await what_the_hlr_refuses_comes_back_and_leaves_the_number_idle(two)
        await a_number_that_somebody_else_has_is_locked_on_both_sides(two)
        await what_relays_lose_is_asked_again_and_done_once(two)
        no_key_is_in_any_log(site)


async def what_takes_the_other_role_is_refused(two: Two) -> None:
    stop: dict[str, Any] = {"user_id": "1", "msisdn": RANGE.first, "level": 2}
    refused = [
        await two.order("ARREARS_SUSPEND", Source.BOSS, **stop),
        await posted(
            two.site, two.hq, "MEMBER_ACTIVATE", Source.ESOP, user_id="1", ec_code="EC1"
        ),
    ]  # fmt: skip

    assert [one["code"] for one in refused] == ["ROLE_MISSING"] * 2


async def a_member_is_opened_has_a_product_and_leaves(two: Two) -> None:
    receipt = await two.opened(101)
    assert receipt["result"] == "succeeded", receipt
    assert await two.at_hlr() == [receipt["msisdn"]]
    assert await two.states(receipt) == ("inUse", "inUse")
    members = await two.hq.get("/v1/ecs/EC1/members")
    assert [one["msisdn"] for one in members["members"]] == [receipt["msisdn"]]

    product: dict[str, Any] = {"user_id": "101", "ec_code": "EC1", "product": "TRACK"}
    taken = await two.order("MEMBER_PRODUCT_SUBSCRIBE", **product)
    assert taken["result"] == "succeeded", taken
    used = f"/users/{receipt['msisdn']}/products/TRACK"
    assert used in await two.resources("class1")
    assert used in await two.resources("gateway")

    left = await two.order("MEMBER_REMOVE", user_id="101", ec_code="EC1")
    assert (left["result"], left["user_state"]) == ("succeeded", "terminated")
    assert await two.at_hlr() == []
    assert used not in await two.resources("gateway")
    assert await two.resources("pboss") == [HELD]
    assert (await two.states(receipt))[0] == "quarantined"
    assert await two.card(receipt) == "scrapped"


async def what_the_hlr_refuses_comes_back_and_leaves_the_number_idle(two: Two) -> None:
    once = Profile(once=[Once(Fault.REFUSE, "ADD TPLSUB")])
    await two.site.put_faults(HLR, once)
    answer = await two.failed(user_id="102", ec_code="EC1")

    assert (answer["result"], answer["code"]) == ("failed", "NE_REFUSED")
    assert answer["ne"] == "boss1"
    assert re.search(rf"hlrd: {HLR} [0-9]+", answer["ne_text"]), answer
    assert await two.at_hlr() == []
    assert await two.resources("pboss") == [HELD]
    assert (await two.states(answer))[0] in ("idle", "leased")
    assert (await two.states(answer))[1] in ("idle", "leased")
    assert await two.card(answer) in ("inStock", "leased")


async def a_number_that_somebody_else_has_is_locked_on_both_sides(two: Two) -> None:
    """At the HLR, where nobody knows of it."""
    msisdn = str(int(RANGE.first) + 150)
    stranger: dict[str, Any] = {
        "imsi": "460990099999999",
        "iccid": "8986049999000000000",
        "ki": "ab" * 16,
    }
    opened = await posted(
        two.site, two.hq, "MEMBER_OPEN", Source.OPS, user_id="999", msisdn=msisdn, **stranger,
        keyid=1, services=["GPRS", "SMS"], ec_code="EC1",
    )  # fmt: skip
    assert opened["result"] == "succeeded", opened

    answer = await two.failed(user_id="103", ec_code="EC1", msisdn=msisdn)

    assert (answer["result"], answer["ne_class"]) == ("failed", "different")
    assert answer["marks"] == ["NUMBER_LOCKED"]
    assert await two.states({"msisdn": msisdn}) == ("locked", "inUse")
    assert await two.at_hlr() == [msisdn]


async def what_relays_lose_is_asked_again_and_done_once(two: Two) -> None:
    lossy = Profile(chance=Chance(withhold=0.1, cut_before=0.1, cut_after=0.1))
    before = await two.at_hlr()
    for name in ("boss1", "pboss"):
        await two.site.put_faults(name, lossy)
    await two.site.control(HLR, "PUT", "/effects", {"on": True})

    openings = [asyncio.create_task(two.opened(200 + number)) for number in range(MANY)]
    await asyncio.sleep(0.2)
    await two.province.restart()
    await asyncio.gather(*openings, return_exceptions=True)
    receipts = await asyncio.gather(*(_settled(two, 200 + number) for number in range(MANY)))
    for name in ("boss1", "pboss"):
        await two.site.put_faults(name)

    assert [one["result"] for one in receipts] == ["succeeded"] * MANY
    numbers = sorted(one["msisdn"] for one in receipts)
    assert await two.at_hlr() == sorted([*before, *numbers])
    assert await two.site.control(HLR, "GET", "/effects?above=1") == []
    assert {await two.states(one) for one in receipts} == {("inUse", "inUse")}


async def _settled(two: Two, user: int) -> dict[str, Any]:
    """The receipt of the user's opening, whichever life of the province's hlrd took it."""

    async def receipt() -> Any:
        answer = await two.opened(user)
        return answer if "result" in answer else None

    return dict(await two.site.until(receipt, f"user {user} is open"))


def no_key_is_in_any_log(site: Site) -> None:
    logs = [path.read_text(errors="replace") for path in site.folder.glob("*.log")]

    assert logs
    assert [found for log in logs for found in _KEY.findall(log)] == []
