"""Enterprises and their members for reading, and the orders of group business in good form."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hlrd.domain.group import Scope, Subscription
from hlrd.domain.identity import UserId
from hlrd.domain.lifecycle import ECState
from hlrd.domain.orders import Source
from hlrd.store.groups import ECRow, MemberRow, PartnerRow, SubscriptionRow
from tests.api.client import World
from tests.domain.orders import GOOD

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)


def a_member(n: int) -> MemberRow:
    return MemberRow(
        UserId(f"90{n}"), f"106470000000{n}", "200", "hlr1", "active", '{"ARREARS": 2}', "TRACK",
        NOON,
    )  # fmt: skip


@pytest.fixture
def ecs(world: World) -> None:
    one = Subscription(
        "EC1", "示例集团", "TRACK", 1, 2, Scope.IN_PROVINCE, "BOSS1", "200", is_straight=True
    )
    world.groups.ecs += [ECRow(f"EC{n}", "示例集团", "200", NOON, 1) for n in (1, 2, 3)]
    world.groups.held.append(SubscriptionRow(one, ECState.PENDING, 17, NOON))
    world.groups.own += [a_member(n) for n in (1, 2, 3)]
    world.groups.others += [PartnerRow(f"106480000000{n}", "280", NOON) for n in (1, 2)]


@pytest.mark.usefixtures("ecs")
async def test_an_enterprise_is_shown_with_what_it_has(world: World) -> None:
    shown = await world.ask("GET", "/v1/ecs/EC1")

    assert shown.json["code"] == "EC1"
    assert (shown.json["members"], shown.json["lead_province"]) == (2, "200")
    (held,) = shown.json["products"]
    assert held == {
        "product": "TRACK",
        "product_version": 1,
        "product_class": 2,
        "scope": "inProvince",
        "route": "BOSS1",
        "lead_province": "200",
        "partner_provinces": [],
        "straight": True,
        "state": "pending",
        "order": "17",
        "since": "2026-11-21T12:00:00+08:00",
    }


@pytest.mark.usefixtures("ecs")
async def test_enterprises_are_listed_page_by_page(world: World) -> None:
    first = await world.ask("GET", "/v1/ecs?limit=2")
    rest = await world.ask("GET", f"/v1/ecs?limit=2&after={first.json['next']}")

    assert [one["code"] for one in first.json["ecs"] + rest.json["ecs"]] == ["EC1", "EC2", "EC3"]
    assert "next" not in rest.json


@pytest.mark.usefixtures("ecs")
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 100])
async def test_members_come_own_ones_first_whatever_the_page(world: World, limit: int) -> None:
    path = f"/v1/ecs/EC1/members?limit={limit}"
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = (await world.ask("GET", path + after)).json
        found += page["members"]
        if "next" not in page:
            break
        after = f"&after={page['next']}"

    assert [one["origin"] for one in found] == ["own"] * 3 + ["partner"] * 2
    assert found[0]["reasons"] == ["ARREARS"]
    assert found[-1] == {
        "origin": "partner",
        "msisdn": "1064800000002",
        "province": "280",
        "since": "2026-11-21T12:00:00+08:00",
    }


@pytest.mark.usefixtures("ecs")
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/ecs/EC9", 404, "EC_UNKNOWN"),
        ("/v1/ecs/EC9/members", 404, "EC_UNKNOWN"),
        ("/v1/ecs/EC-1", 400, "FIELD_INVALID"),
        ("/v1/ecs/EC1/members?after=all:1", 400, "FIELD_INVALID"),
        ("/v1/ecs/EC1/members?limit=1001", 400, "FIELD_INVALID"),
    ],
)
async def test_what_is_not_there_is_refused_by_its_code(
    world: World, path: str, status: int, code: str
) -> None:
    reply = await world.ask("GET", path)

    assert (reply.status, reply.json["code"]) == (status, code)


async def test_enterprises_are_for_those_of_group_business(world: World) -> None:
    for path in ("/v1/ecs", "/v1/ecs/EC1", "/v1/ecs/EC1/members"):
        assert (await world.ask("GET", path, source=Source.CRM)).status == 403


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"product_class": 4}, "FIELD_INVALID", "product_class"),
        ({"scope": "crossProvince"}, "SCOPE_NOT_BY_ROUTE", "scope"),
        ({"partner_provinces": ["280"]}, "SCOPE_NOT_BY_ROUTE", "partner_provinces"),
        ({"lead_province": "999"}, "PROVINCE_UNKNOWN", "lead_province"),
        ({"product_class": 1, "straight": True}, "STRAIGHT_OF_CLASS_1", "straight"),
    ],
)
async def test_an_enterprises_order_that_contradicts_itself_is_refused(
    world: World, fields: dict[str, Any], code: str, field: str
) -> None:
    reply = await world.post_order({**GOOD["EC_PRODUCT_SUBSCRIBE"], **fields})

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)


@pytest.mark.parametrize(
    ("partners", "code", "field"),
    [
        (["999"], "PROVINCE_UNKNOWN", "partner_provinces[0]"),
        (["280", "280"], "PARTNER_TWICE", "partner_provinces"),
        (["200"], "PARTNER_TWICE", "partner_provinces"),
    ],
)
async def test_partners_are_other_provinces_each_once(
    world: World, partners: list[str], code: str, field: str
) -> None:
    cross = {"product_class": 1, "scope": "crossProvince", "route": "BBOSS"}
    order = {**GOOD["EC_PRODUCT_SUBSCRIBE"], **cross, "partner_provinces": partners}

    reply = await world.post_order(order)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)
