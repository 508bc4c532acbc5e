"""Published products for reading, and the orders that publish and subscribe."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hlrd.domain.lifecycle import ProductState
from hlrd.domain.orders import Source
from hlrd.store.products import ProductRow
from tests.api.client import World
from tests.domain.products import a_content, a_manual, a_product, an_apn

P1 = a_product("P", an_apn("cmiot"), a_content(), a_manual(), platforms=("video",))
HEADER = {"order_id": "P1", "province": "000", "operator_id": "op1"}
SERVICE = {"name": "V", "kind": "content"}


def a_publication(**fields: object) -> dict[str, object]:
    named = {"product": "P", "product_version": 1, "name": "产品", "services": [SERVICE]}
    return {"type": "PRODUCT_PUBLISH", **HEADER, **named, **fields}


@pytest.fixture
def shelf(world: World) -> None:
    since = datetime(2026, 11, 21, 12, tzinfo=UTC)
    world.products.shelf.append(ProductRow(P1, ProductState.ACTIVE, 17, since))


@pytest.mark.usefixtures("shelf")
async def test_a_product_is_shown_as_it_was_published(world: World) -> None:
    listed = await world.ask("GET", "/v1/products", source=Source.CRM)
    shown = await world.ask("GET", "/v1/products/P", source=Source.OPS)

    (one,) = listed.json["products"]
    (version,) = shown.json["versions"]
    assert {**version, "users": None} == one
    assert version["users"] == 2
    assert (one["product"], one["product_version"], one["state"]) == ("P", 1, "active")
    assert (one["since"], one["order"]) == ("2026-11-21T20:00:00+08:00", "17")
    assert one["platforms"] == ["video"]
    apn, video, ip = one["services"]
    assert apn["parameters"] == {"apn": ["cmiot"]}
    assert apn["scripts"][0]["add"] == "ADD APN:I={imsi},APN={apn}"
    assert video["relation"] == {"sp_id": "900001", "sp_service_id": "VIDEO01"}
    assert ip["manual"] == {"open": "give an address", "close": "take it back"}


async def test_a_product_that_never_was_is_404(world: World) -> None:
    reply = await world.ask("GET", "/v1/products/Q", source=Source.OPS)

    assert (reply.status, reply.json["code"]) == (404, "PRODUCT_UNKNOWN")


@pytest.mark.parametrize("path", ["/v1/products", "/v1/products/P"])
async def test_products_are_for_those_who_order_them(world: World, path: str) -> None:
    assert (await world.ask("GET", path, source=Source.BOSS)).status == 403


async def test_a_publication_is_of_no_user(world: World) -> None:
    taken = await world.post_order(a_publication(), source=Source.OPS)
    with_user = await world.post_order(a_publication(user_id="7"), source=Source.OPS)

    assert taken.status == 202
    assert (with_user.json["code"], with_user.json["field"]) == ("FIELD_UNKNOWN", "user_id")


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"product": "a b"}, "FIELD_INVALID", "product"),
        ({"product_version": 0}, "FIELD_INVALID", "product_version"),
        ({"name": "a\nb"}, "FIELD_INVALID", "name"),
        ({"services": []}, "FIELD_INVALID", "services"),
        ({"services": [{"name": "V"}]}, "FIELD_MISSING", "services[0].kind"),
        ({"services": [SERVICE | {"price": 1}]}, "FIELD_UNKNOWN", "services[0].price"),
        ({"services": [SERVICE | {"kind": "tariff"}]}, "FIELD_INVALID", "services[0].kind"),
        ({"platforms": ["Video"]}, "FIELD_INVALID", "platforms[0]"),
    ],
)
async def test_a_publication_in_bad_form_is_refused_by_its_field(
    world: World, fields: dict[str, Any], code: str, field: str
) -> None:
    reply = await world.post_order(a_publication(**fields), source=Source.OPS)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, code, field)


async def test_a_member_that_comes_twice_is_refused_however_deep(world: World) -> None:
    document = (
        b'{"type":"PRODUCT_PUBLISH","order_id":"P1","province":"000","operator_id":"op",'
        b'"product":"P","product_version":1,"name":"n",'
        b'"services":[{"name":"V","kind":"content","kind":"function"}]}'
    )

    reply = await world.ask("POST", "/v1/work-orders", source=Source.OPS, data=document)

    assert (reply.status, reply.json["code"], reply.json["field"]) == (400, "FIELD_TWICE", "kind")


@pytest.mark.parametrize("value", ["a b", "a;b", 'a"b', "a\n", "", "-a", "a" * 101, "１"])
async def test_an_attribute_carries_no_delimiter(world: World, value: str) -> None:
    order = {
        "type": "PRODUCT_SUBSCRIBE", **HEADER, "user_id": "7", "msisdn": "1064900000001",
        "product": "P", "attributes": {"apn": value},
    }  # fmt: skip

    reply = await world.post_order(order, source=Source.OPS)

    assert (reply.status, reply.json["code"]) == (400, "FIELD_INVALID")
