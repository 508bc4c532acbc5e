"""The examples, carried out: each with all that was tried with it."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from structlog.testing import capture_logs

from hlrd.domain.catalogue import BY_NAME, OrderKind
from hlrd.domain.lifecycle import OrderState
from hlrd.domain.orders import Source
from hlrd.domain.orders.batch import FanOut
from tests.orders_page.bench import Bench, Ended, number
from tests.orders_page.case import Case, Example
from tests.orders_page.examples import FAMILIES
from tests.orders_page.ground import posted


class Run(NamedTuple):
    """An example and all that was tried with it."""

    example: Example
    ended: Ended
    refused: Ended | None  #: at its last change; None where none is sent
    cases: Sequence[tuple[Case, Ended]]

    @property
    def is_undone(self) -> bool:
        return self.refused is not None and self.refused.receipt["result"] == OrderState.FAILED


@cache
def runs() -> Mapping[str, Run]:
    """By kind; they take a few seconds."""
    with capture_logs():  # of fallouts that are meant
        return {example.kind: _run(example) for family in FAMILIES.values() for example in family}


def _run(example: Example) -> Run:
    ended = _carry_out(example, Case(""))
    assert ended.said == "succeeded", (example.kind, ended)
    changes = [at for at, one in enumerate(ended.commands) if one.operation]
    kind, refused = BY_NAME[example.kind], None
    if changes and not issubclass(kind.shape, FanOut):
        refused = _carry_out(example, Case("", refused_at=changes[-1]))
    cases = [*_usual_cases(example, kind), *example.cases]
    return Run(example, ended, refused, [(case, _carry_out(example, case)) for case in cases])


def _carry_out(example: Example, case: Case) -> Ended:
    bench = Bench()
    for step in (*(() if case.is_bare else example.before), *case.then):
        step(bench)
    document = {**example.order, **case.change}
    return bench.post(document, case.source or example.source, refused_at=case.refused_at)


def _usual_cases(example: Example, kind: OrderKind) -> Iterator[Case]:
    """Those that can be brought about for any kind."""
    again = posted(example.order, example.source)
    yield Case("the same came before, under another `order_id`", then=(again,))
    others = [source for source in Source if source not in kind.sources]
    if others:
        yield Case(f"it comes from {others[0]}, or another that may not send it", source=others[0])
    if not kind.is_of_user or kind.opens_user:
        return
    user = {"user_id": example.order["user_id"]}
    msisdn = example.order.get("msisdn", number(11))
    whose = {**user, "order_id": "", "province": "200", "operator_id": "zhang3", "msisdn": msisdn}
    stranger = {"user_id": "9009", **({"msisdn": number(9)} if "msisdn" in example.order else {})}
    yield Case("the user was never opened", stranger)
    closed = posted({"type": "USER_TERMINATE", **whose})
    yield Case("the user is terminated", then=(closed,))
    if kind.name not in ("PRE_TERMINATE", "REINSTATE"):
        closing = posted({"type": "PRE_TERMINATE", **whose})
        yield Case("the user is pre-terminated", then=(closing,))
    if "msisdn" in example.order:
        yield Case("`msisdn` is another user's", {"msisdn": number(12)})
