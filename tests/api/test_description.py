"""What is written down about the API, held against the code."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from hlrd import limits
from hlrd.api import problem
from hlrd.domain import errors
from hlrd.domain.catalogue import KINDS
from hlrd.domain.errors import Refusal
from hlrd.domain.fallout import FORCED, STEP_SKIPPED
from hlrd.domain.orders import PROVINCES, Source
from hlrd.domain.plans.plan import Mark
from hlrd.engine.completion import FOLLOW_UP_MISSING, NUMBER_LOCKED
from hlrd.engine.intake import REFUSAL_OF_CLASH
from tests.api.client import World, a_world

ROOT = Path(__file__).parent.parent.parent
API = (ROOT / "docs" / "api.md").read_text("utf-8")
OPENAPI = (ROOT / "hlrd" / "api" / "openapi.yaml").read_text("utf-8")

REFUSALS = {
    name: kind
    for module in (errors, problem)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Refusal)
}

#: Never leaves the reader of card files, which words it as a bad line.
INNER_CODES = {"SIM_FILE_INVALID"}


def refusals_raised() -> Iterator[tuple[str, int]]:
    """Code and status of each refusal in the source."""
    for path in [*(ROOT / "hlrd").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                code = node.args[0]
                if name in REFUSALS and isinstance(code, ast.Constant):
                    yield str(code.value), REFUSALS[name].status
    for clash_code, _, _ in REFUSAL_OF_CLASH.values():
        yield clash_code, HTTPStatus.CONFLICT.value


def codes_told() -> dict[str, set[int]]:
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| ([0-9, ]+) \| .+ \|$", API, re.MULTILINE)
    assert len({code for code, _ in rows}) == len(rows)
    return {code: {int(status) for status in statuses.split(", ")} for code, statuses in rows}


def test_the_table_of_problems_is_what_the_code_raises() -> None:
    raised: defaultdict[str, set[int]] = defaultdict(set)
    for code, status in refusals_raised():
        raised[code].add(status)

    assert codes_told() == {code: raised[code] for code in raised if code not in INNER_CODES}


def operations_described() -> dict[str, set[str]]:
    """Methods by path. The file is read as text: its two outer levels are indented by 2 and 4."""
    paths = OPENAPI.split("\npaths:\n")[1].split("\ncomponents:\n")[0]
    operations: dict[str, set[str]] = {}
    path = ""
    for line in paths.splitlines():
        if heading := re.fullmatch(r"  (/\S+):", line):
            path = heading[1]
            operations[path] = set()
        elif method := re.fullmatch(r"    (get|post|put|delete|patch):", line):
            operations[path].add(method[1].upper())
    return operations


async def test_the_openapi_file_describes_every_route_and_no_other() -> None:
    served: defaultdict[str, set[str]] = defaultdict(set)
    async with a_world() as world:
        for route in world.app.router.routes():
            assert route.resource is not None
            served[route.resource.canonical].add(route.method)

    assert operations_described() == served


async def test_the_openapi_file_is_served_to_anyone(world: World) -> None:
    reply = await world.ask("GET", "/openapi.yaml", source=None)

    assert reply.status == 200
    assert reply.body.decode() == OPENAPI


def test_every_reference_of_the_openapi_file_leads_somewhere() -> None:
    for kind, name in set(re.findall(r"#/components/(\w+)/(\w+)", OPENAPI)):
        section = OPENAPI.split(f"\n  {kind}:\n")[1]
        assert re.search(rf"^    {name}:", section, re.MULTILINE), f"{kind}/{name}"


def fields_described(schema: str) -> set[str]:
    """Properties of one schema, read as text too."""
    block = re.split(r"\n    (?=\S)", OPENAPI.split(f"\n    {schema}:\n")[1])[0]
    return set(re.findall(r"^        (\w+):", block.split("      properties:\n")[1], re.MULTILINE))


def test_the_openapi_file_has_every_field_of_every_order() -> None:
    header = fields_described("Header")
    for kind in KINDS:
        described = fields_described(kind.shape.__name__) | header

        assert described == {*kind.shape.__struct_fields__, "type"}


def test_the_openapi_file_tells_orders_apart_by_exactly_the_kinds_there_are() -> None:
    described = OPENAPI.split("\n    WorkOrder:\n")[1].split("\n    ECSuspendAll:\n")[0]
    mapping = re.findall(r"^          ([A-Z_]+): '#/components/schemas/(\w+)'", described, re.M)
    choice = re.findall(r"^        - \{\$ref: '#/components/schemas/(\w+)'\}", described, re.M)

    assert sorted(mapping) == sorted((kind.name, kind.shape.__name__) for kind in KINDS)
    assert sorted(choice) == sorted(kind.shape.__name__ for kind in KINDS)


def test_every_mark_of_a_receipt_is_told() -> None:
    marks = {*Mark, FORCED, STEP_SKIPPED, FOLLOW_UP_MISSING, NUMBER_LOCKED}

    assert [mark for mark in marks if f"| `{mark}` |" not in API] == []


def test_every_source_and_province_is_told() -> None:
    assert all(re.search(rf"\b{source}\b", API) for source in Source)
    told = dict(re.findall(r"\b([0-9]{3}) ([\u4e00-\u9fff]+)[,.]", API))
    assert told == PROVINCES


def test_the_bounds_are_told_as_they_are() -> None:
    bounds = [
        f"{limits.BODY_BYTES_MAX >> 20} MiB unpacked, read within {limits.BODY_READ_TIMEOUT_S:g} s",
        f"all bodies together {limits.BODIES_BYTES_MAX >> 20} MiB",
        f"{limits.BATCH_ORDERS_MAX:,} orders; {limits.ORDER_BYTES_MAX >> 10} KiB",
        f"{limits.LOGINS_OF_ADDRESS_PER_S:g} a second of one address after the first "
        f"{limits.LOGINS_OF_ADDRESS_BURST} and {limits.LOGINS_PER_S:g} a second of all",
        f"{limits.HTTP_LINE_BYTES_MAX >> 10} KiB each, {limits.HTTP_HEADERS_MAX} headers",
        f"{limits.HTTP_CONNECTIONS_MAX:,}; an idle one is closed after "
        f"{limits.KEEPALIVE_TIMEOUT_S:g} s",
        f"`wait` of receipts | {limits.LONG_POLL_S_MAX:g} s",
        f"`limit` of receipts | {limits.RECEIPTS_PAGE_MAX:,}",
    ]
    assert limits.SYNC_WAIT_S_MAX == limits.LONG_POLL_S_MAX
    for bound in bounds:
        assert bound in API
