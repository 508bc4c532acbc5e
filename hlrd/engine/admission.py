"""Whether another order may come in, by how full the daemon is: bulk is refused first."""

from hlrd import limits
from hlrd.domain.errors import Busy, Unavailable


class DrainRate:
    """Orders closed per second, smoothed over about ten seconds."""

    _SMOOTHING_S = 10.0

    def __init__(self, now: float) -> None:
        self._per_s = 0.0
        self._since = now
        self._count = 0

    def count(self, closed: int, now: float) -> None:
        self._count += closed
        elapsed = now - self._since
        if elapsed < 1.0:
            return
        weight = min(1.0, elapsed / self._SMOOTHING_S)
        self._per_s += weight * (self._count / elapsed - self._per_s)
        self._since, self._count = now, 0

    def seconds_for(self, orders: float) -> float:
        """How long this many closings take; the longest advice while nothing is closed."""
        if self._per_s <= 0.0:
            return limits.RETRY_AFTER_S_MAX
        return max(1.0, min(limits.RETRY_AFTER_S_MAX, orders / self._per_s))


def judge(
    priority: int, *, open_orders: int, arriving: int, is_draining: bool, rate: DrainRate
) -> Busy | None:
    """None: it may come in."""
    if is_draining:
        return Unavailable(
            "DRAINING", "this node is stopping; post to it again after its restart", 5.0
        )
    share = limits.ADMISSION_SHARES[priority]
    if arriving >= limits.ORDERS_ARRIVING_MAX * share:
        return Unavailable("JOURNAL_BEHIND", "the journal is behind; post again later", 1.0)
    room = limits.ORDERS_OPEN_MAX * share
    if open_orders >= room:
        # Come back when a hundredth of the room is free, not one by one.
        wait_s = rate.seconds_for(open_orders - room + room / 100)
        return Busy("QUEUE_FULL", "as many orders are open as may be; post again later", wait_s)
    return None
