"""Orders are posted at their times, none before what it waits for, and none is left out."""

import asyncio
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

    timetable.close()

    await timetable.keep()

    assert upstreams.posted == [
        tuple(stop.order.order_id for stop in stops),
        (product.order.order_id,),
    ]
    assert upstreams.due_s[stops[0].order.order_id] == now_s - 1


async def test_what_follows_an_order_that_was_taken_is_posted_too() -> None:
    upstreams, clerk, user = Upstreams(), Clerk("S"), User("1")
    stop, payment = clerk.stop(user, 2), clerk.pay(user)
    taken: list[str] = []

    def on_taken(posting: Posting) -> None:
        taken.append(posting.order.order_id)
        if posting is stop:
            timetable.add(time.monotonic() + 0.05, lambda: payment)

    timetable = Timetable(upstreams, on_taken)  # type: ignore[arg-type]
    timetable.add(time.monotonic() + 0.05, lambda: stop)
    timetable.close()

    await timetable.keep()

    assert taken == [stop.order.order_id, payment.order.order_id]


async def test_it_is_kept_until_nobody_adds_any_more() -> None:
    upstreams, clerk = Upstreams(), Clerk("S")
    timetable = Timetable(upstreams)  # type: ignore[arg-type]
    stop = clerk.stop(User("1"), 2)

    async with asyncio.TaskGroup() as tasks:
        kept = tasks.create_task(timetable.keep())
        await asyncio.sleep(0)
        assert not kept.done()
        timetable.add(time.monotonic(), lambda: stop)
        timetable.close()

    assert upstreams.posted == [(stop.order.order_id,)]
