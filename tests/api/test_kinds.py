"""The catalogue as it is shown, and what is told who posts an import as an order."""

import pytest

from hlrd.domain.catalogue import KINDS
from hlrd.domain.errors import BadRequest
from hlrd.domain.imports import IMPORTS, ImportKind
from hlrd.domain.orders import Source, decode
from tests.api.client import World, a_member_activation
from tests.cli.test_commands import run, said


async def test_every_kind_is_listed_with_its_route(world: World) -> None:
    reply = await world.ask("GET", "/v1/order-kinds", source=Source.BOSS)

    listed = {one["kind"]: one for one in reply.json["kinds"]}
    assert set(listed) == {kind.name for kind in KINDS} | {kind.name for kind in IMPORTS}
    assert listed["ARREARS_SUSPEND"]["state_master_only"] is True
    assert listed["ARREARS_SUSPEND"]["sources"] == ["BOSS", "CRM", "OPS"]
    assert listed["SIM_LOT_IMPORT"]["route"] == "POST /v1/sim-lots"


async def test_the_route_of_every_import_is_served(world: World) -> None:
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in world.app.router.routes()
        if route.resource is not None
    }

    assert {kind.route for kind in IMPORTS} <= served


@pytest.mark.parametrize("kind", IMPORTS, ids=lambda kind: kind.name)
async def test_an_import_that_is_posted_as_an_order_is_told_where_it_goes(
    world: World, kind: ImportKind
) -> None:
    reply = await world.post_order(a_member_activation(type=kind.name), source=Source.OPS)

    assert (reply.status, reply.json["code"]) == (400, "KIND_NOT_POSTED")
    assert kind.route in reply.json["detail"]


async def test_the_kinds_are_listed_on_the_command_line(world: World) -> None:
    shown = await run(world, "order", "kinds")

    assert [kind.name for kind in (*KINDS, *IMPORTS) if kind.name not in said(shown).split()] == []
    assert "NUMBER_SEGMENT_IMPORT 号段入库 POST /v1/pools/{name}/ranges OPS 4" in said(shown)
    assert "NE_REPAIR 稽核补发 POST /v1/work-orders OPS 5 forward" in said(shown)


@pytest.mark.parametrize("tail", [b"", b"\xff", b"[" * 5_000, b"}"])
def test_a_document_that_is_broken_behind_an_unknown_kind_is_refused_all_the_same(
    tail: bytes,
) -> None:
    with pytest.raises(BadRequest):
        decode(b'{"type": "SIM_LOT", "more": ' + tail)
