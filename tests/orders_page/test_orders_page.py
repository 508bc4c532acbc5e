"""What docs/orders.md rests on; tests/test_house.py holds the page to what the examples did."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from hlrd import metrics
from hlrd.domain.catalogue import BY_NAME, KINDS, Direction
from hlrd.domain.conflict import Nature
from hlrd.domain.imports import IMPORTS
from hlrd.domain.orders.batch import FanOut
from loadtest.dsmp.core import State
from loadtest.eoms.core import WITH_PEOPLE, Office
from loadtest.hlr.services import Services
from tests.adapters.conformance import KI, PASSWORD
from tests.orders_page.bench import Bench, Ended
from tests.orders_page.case import Example
from tests.orders_page.examples import FAMILIES
from tests.orders_page.page import draw
from tests.orders_page.peers import DSMPPeer, HLRPeer, JSONPeer
from tests.orders_page.runs import Run, runs

API: Final = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
EXAMPLES: Final = [example for family in FAMILIES.values() for example in family]
UNDONE: Final = [
    example
    for example in EXAMPLES
    if BY_NAME[example.kind].direction is Direction.BACKWARD
    and not issubclass(BY_NAME[example.kind].shape, FanOut)
    and example.kind != "PRODUCT_PUBLISH"  # takes nothing back: its version stays staged
]


def named(example: Example) -> str:
    return example.kind


def all_ends(run: Run) -> Iterator[Ended]:
    yield run.ended
    if run.refused is not None:
        yield run.refused
    yield from (ended for _, ended in run.cases)


def held(bench: Bench) -> dict[str, Any]:
    """What every element of the network has."""
    found: dict[str, Any] = {}
    for name, wire in bench.network.items():
        peer = wire.peer
        if isinstance(peer, HLRPeer):
            rows = (row for row in peer.core.dump() if row != Services(getattr(row, "imsi", "")))
            found[name] = sorted(map(str, rows))
        elif isinstance(peer, DSMPPeer):
            relations = peer.core.relations.items()
            found[name] = {one for one, state in relations if state is not State.CLOSED}
        elif isinstance(peer, JSONPeer):
            found[name] = set(_records(peer))
    return found


def _records(peer: JSONPeer) -> Iterable[str]:
    if isinstance(peer.core, Office):
        return (sheet.number for sheet in peer.core.sheets.values() if sheet.state in WITH_PEOPLE)
    return peer.core.records


def prepared(example: Example) -> Bench:
    bench = Bench()
    for step in example.before:
        step(bench)
    return bench


def test_every_kind_of_the_catalogue_has_one_example() -> None:
    assert sorted(map(named, EXAMPLES)) == sorted(kind.name for kind in KINDS)


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_example_comes_from_a_source_that_may_send_it(example: Example) -> None:
    assert example.order["type"] == example.kind
    assert example.source in BY_NAME[example.kind].sources


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_a_receipt_answers_its_order(example: Example) -> None:
    receipt = runs()[example.kind].ended.receipt

    told = {name: example.order[name] for name in ("type", "order_id")}
    for name in ("user_id", "product"):
        if name in example.order:
            told[name] = example.order[name]
    assert receipt["result"] == "succeeded"
    assert {name: receipt[name] for name in told} == told


@pytest.mark.parametrize("example", EXAMPLES, ids=named)
def test_an_order_that_is_refused_ends_as_its_direction_says(example: Example) -> None:
    kind, refused = BY_NAME[example.kind], runs()[example.kind].refused
    if refused is None:
        return
    is_behind_the_switch = kind.nature is Nature.CHANGE
    is_failed = kind.direction is Direction.BACKWARD and not is_behind_the_switch

    assert refused.said == f"{'failed' if is_failed else 'fallout'} NE_REFUSED"


@pytest.mark.parametrize("example", UNDONE, ids=named)
def test_wherever_it_is_refused_the_network_is_left_as_it_was(example: Example) -> None:
    commands = runs()[example.kind].ended.commands

    for at, command in enumerate(commands):
        if not command.operation:
            continue
        bench = prepared(example)
        before = held(bench)
        with capture_logs():
            ended = bench.post(example.order, example.source, refused_at=at)
        if ended.receipt["result"] == "fallout":
            assert BY_NAME[example.kind].nature is Nature.CHANGE, "behind the switch"
        else:
            assert held(bench) == before, f"refused at {command}"


def test_metrics_name_the_kinds_as_the_catalogue_does() -> None:
    runs()

    samples = [sample for metric in metrics.REGISTRY.collect() for sample in metric.samples]
    named = {(one.name, one.labels["kind"]) for one in samples if "kind" in one.labels}
    refused = {each.name for each in IMPORTS}  # counted where one was posted as an order
    assert {kind for _, kind in named} - refused == set(BY_NAME)
    assert {kind for name, kind in named if name == "hlrd_orders_accepted_total"} == set(BY_NAME)


def test_no_secret_is_on_the_page() -> None:
    page = draw()

    assert [secret for secret in (KI, PASSWORD, "1234" * 8) if secret in page] == []
    assert set(re.findall(r'KIVALUE="([^"]*)"', page)) == {"****"}


def test_every_code_of_the_page_is_explained() -> None:
    ends = [ended for run in runs().values() for ended in all_ends(run)]
    codes = {ended.refusal.code for ended in ends if ended.refusal is not None}
    codes |= {ended.receipt["code"] for ended in ends if "code" in ended.receipt}

    assert len(codes) > 20
    assert sorted(code for code in codes if f"`{code}`" not in API) == []
