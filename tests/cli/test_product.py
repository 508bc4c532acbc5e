"""`hlrd product` against a real API."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hlrd.cli.client import CallFailed
from hlrd.domain.lifecycle import ProductState
from hlrd.domain.orders import ProductPublish
from hlrd.store.products import ProductRow
from tests.api.client import a_world, until
from tests.cli.test_commands import run, said
from tests.domain.products import a_product, an_apn

P1 = a_product("P", an_apn("cmiot"), platforms=("video",))
ROW = ProductRow(P1, ProductState.ACTIVE, 17, datetime(2026, 11, 21, 12, tzinfo=UTC))
FILE: dict[str, Any] = {
    "product": "P",
    "product_version": 1,
    "name": "产品",
    "services": [{"name": "V", "kind": "content"}],
}


def a_file(folder: Path, content: object = FILE) -> str:
    path = folder / "product.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return str(path)


async def test_products_are_listed_and_shown() -> None:
    async with a_world() as world:
        world.products.shelf.append(ROW)
        listed = await run(world, "product", "list")
        shown = await run(world, "product", "show", "P")

    assert "P 1 product P active" in said(listed)
    assert "APN (function)" in said(shown)
    assert "apn: cmiot" in said(shown)
    assert "mml add: ADD APN:I={imsi},APN={apn}" in said(shown)


@pytest.mark.parametrize("result", ["succeeded", "failed"])
async def test_a_file_is_published_and_its_end_is_told(tmp_path: Path, result: str) -> None:
    async with a_world() as world:
        command = asyncio.create_task(run(world, "product", "publish", a_file(tmp_path)))
        await until(lambda: bool(world.book.waiters))
        (order,) = world.book.waiters
        world.book.close(order, result)
        published = await command

    (submission,) = world.book.seen
    assert isinstance(submission.order, ProductPublish)
    assert (submission.order.product, submission.order.operator_id) == ("P", "OPS")
    if result == "succeeded":
        assert "P version 1 is active" in said(published)
    else:
        assert "P version 1 stays staged" in str(published.exception)


@pytest.mark.parametrize("content", ["{", "[1]", " "])
async def test_a_file_that_is_no_product_is_refused(tmp_path: Path, content: str) -> None:
    async with a_world() as world:
        refused = await run(world, "product", "publish", a_file(tmp_path, content))

    assert isinstance(refused.exception, CallFailed)


async def test_a_refusal_names_the_field(tmp_path: Path) -> None:
    content = {**FILE, "services": [{"name": "V", "kind": "tariff"}]}
    async with a_world() as world:
        refused = await run(world, "product", "publish", a_file(tmp_path, content))

    assert "FIELD_INVALID (services[0].kind)" in str(refused.exception)
