"""Whatever the order of arrival and whatever is refused: enterprise, then member, then product."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hlrd.domain.identity import Binding
from hlrd.domain.lifecycle import UserState
from hlrd.domain.outcome import Verdict
from hlrd.domain.suspension import NO_REASONS
from hlrd.domain.user import User
from hlrd.ports import Closing
from tests.engine.test_groups import REFUSED, WAIT_S, GroupStage

USERS = ("101", "102", "103")
ORDERS = [("ec", "")] + [(kind, user) for user in USERS for kind in ("member", "product")]

cuts = st.lists(st.booleans(), min_size=len(ORDERS), max_size=len(ORDERS))
refusals = st.sets(
    st.tuples(st.sampled_from(["nation", "hlr1", "gateway"]), st.integers(0, 6)), max_size=3
)


class Arrivals:
    """Takes orders in batches, lets the network refuse some, and notes what was sent when."""

    def __init__(self, refused: set[tuple[str, int]]) -> None:
        self.stage = GroupStage(ec_unknown="wait")
        self.refused = refused
        self.log: list[tuple[str, str, str]] = []  #: user or "", operation or end, result
        self._served = dict.fromkeys(self.stage.peers, 0)
        self._bound: dict[str, Binding] = {}

    def take(self, batch: list[tuple[str, str]]) -> None:
        stage = self.stage
        made: dict[str, Any] = {
            "ec": lambda _: stage.subscribe_ec(),
            "member": stage.activate,
            "product": stage.subscribe,
        }
        answers = stage.submit(*[made[kind](user) for kind, user in batch])
        stage.resolve()
        self._bound |= {one.user_id: one.binding for one in stage.journal.accepts if one.binding}
        stage.accept()
        assert [answer.refusal for answer in answers] == [None] * len(batch)

    def run(self, steps: int) -> None:
        """Some answers, each followed by what the journal has to write."""
        for _ in range(steps):
            busy = [name for name, ne in self.stage.peers.items() if ne.sent]
            if not busy:
                break
            self._answer(busy[0])
            self._close()

    def _answer(self, name: str) -> None:
        task = self.stage.peers[name].sent[0].task
        number, self._served[name] = self._served[name], self._served[name] + 1
        is_undo = task.operation.startswith(("remove", "unsubscribe", "close"))
        is_refused = (name, number) in self.refused and not is_undo
        self.log.append((task.binding.user_id, task.operation, "sent"))
        self.stage.answer(name, REFUSED if is_refused else Verdict.DONE)

    def _close(self) -> None:
        while self.stage.journal.closings:
            before = len(self.stage.journal.durable)
            self.stage.close()
            for closing in self.stage.journal.durable[before:]:
                self._keep(closing)
            for one in self.stage.receipts()[before:]:
                self.log.append((one.get("user_id", ""), one["type"], one["result"]))

    def _keep(self, closing: Closing) -> None:
        """As the journal has a user that was opened: bound, and a member."""
        user_id = closing.user_id
        if closing.joins is not None:
            user = User(UserState.ACTIVE, self._bound[user_id], NO_REASONS, member=closing.joins)
            self.stage.users[user_id] = user

    def place(self, user: str, what: str) -> int | None:
        """Of its first mention."""
        return next(
            (n for n, (who, op, _) in enumerate(self.log) if (who, op) == (user, what)), None
        )

    def ended(self, user: str, kind: str) -> tuple[int, str]:
        ((place, result),) = [
            (n, result) for n, (who, op, result) in enumerate(self.log) if (who, op) == (user, kind)
        ]
        return place, result


@given(st.permutations(ORDERS), cuts, st.lists(st.integers(0, 9), min_size=7, max_size=7), refusals)
def test_each_goes_after_what_it_depends_on_and_fails_with_it(
    arrival: list[tuple[str, str]],
    ends_batch: list[bool],
    steps: list[int],
    refused: set[tuple[str, int]],
) -> None:
    world = Arrivals(refused)
    batch: list[tuple[str, str]] = []
    for order, is_end, count in zip(arrival, ends_batch, steps, strict=True):
        batch.append(order)
        if is_end:
            world.take(batch)
            world.run(count)
            batch = []
    world.take(batch)
    world.run(1_000)
    world.stage.wait(WAIT_S + 1)
    world.run(1_000)
    world._close()

    ec_at, ec_result = world.ended("", "EC_PRODUCT_SUBSCRIBE")
    for user in USERS:
        base_at, base = world.ended(user, "MEMBER_ACTIVATE")
        _, product = world.ended(user, "MEMBER_PRODUCT_SUBSCRIBE")
        first_of_base, first_of_product = (
            world.place(user, what) for what in ("addKey", "addFunction")
        )
        if ec_result == "succeeded":
            assert first_of_base is None or first_of_base > ec_at
        else:
            assert (first_of_base, base) == (None, "failed")
        if base == "succeeded":
            assert first_of_product is not None
            assert first_of_product > base_at
        else:
            assert (first_of_product, product) == (None, "failed")
    assert not world.stage.journal.backlog()
