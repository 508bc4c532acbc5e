"""Orders are posted at their times, none before what it waits for, and none is left out."""

import time
from collections.abc import Sequence

from loadtest.storm.orders import Clerk, Posting, User
from loadtest.storm.timetable import Timetable


class Upstreams:
    """Takes everything at once."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, ...]] = []
        self.due_s: dict[str, float] = {}

    async def post(self, postings: Sequence[Posting], due_s: Sequence[float] = ()) -> None:
        ids = tuple(each.order.order_id for each in postings)
        self.posted.append(ids)
        self.due_s.update(zip(ids, due_s, strict=True))


async def test_many_that_are_due_go_together_by_source_and_in_order() -> None:
    upstreams, clerk, now_s = Upstreams(), Clerk("S"), time.monotonic()
    timetable = Timetable(upstreams)  # type: ignore[arg-type]
    users = [User(str(number)) for number in range(3)]
    stops = [clerk.stop(user, 2) for user in users]
    product = clerk.subscribe(users[0])
    for place, posting in enumerate([stops[0], product, stops[1], stops[2]]):
        timetable.add(now_s - 1 + place / 10, lambda posting=posting: posting)  # type: ignore[misc]

    await timetable.keep()

    assert upstreams.posted == [
        tuple(stop.order.order_id for stop in stops),
        (product.order.order_id,),
    ]
    assert upstreams.due_s[stops[0].order.order_id] == now_s - 1


async def test_one_that_waits_for_another_goes_after_it_and_what_follows_is_posted_too() -> None:
    upstreams, clerk, user = Upstreams(), Clerk("S"), User("1")
    stop, payment, last = clerk.stop(user, 2), clerk.pay(user), clerk.subscribe(user)
    taken: list[str] = []

    def on_taken(posting: Posting) -> None:
        taken.append(posting.order.order_id)
        if posting is payment:
            timetable.add(time.monotonic(), lambda: last)

    timetable = Timetable(upstreams, on_taken)  # type: ignore[arg-type]
    timetable.add(time.monotonic() - 9, lambda: payment, holds=lambda: stop.order.order_id in taken)
    timetable.add(time.monotonic() + 0.05, lambda: stop)

    await timetable.keep()

    assert taken == [each.order.order_id for each in (stop, payment, last)]
