"""Where one NE is reached: its primary address, its standby, and which of them is in use."""

from typing import Final, NamedTuple

FAILOVER_FAULTS: Final = 2
"""Failed openings in a row, with no session left, that turn to the standby. One may be chance."""


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Addresses:
    """`now` is monotonic seconds throughout."""

    __slots__ = ("_failback_s", "_faults", "_look_at", "current", "primary", "standby")

    def __init__(self, primary: Address, standby: Address | None, *, failback_s: float) -> None:
        self.primary: Final = primary
        self.standby: Final = standby
        self.current = primary
        self._failback_s = failback_s
        self._faults = 0  #: in a row, at the current one
        self._look_at = 0.0

    @property
    def places(self) -> tuple[Address, Address | None]:
        return self.primary, self.standby

    @property
    def other(self) -> Address | None:
        return self.standby if self.current is self.primary else self.primary

    def failed(self, address: Address, now: float) -> bool:
        """Nothing could be opened there and nothing else is open; whether this turned away."""
        if self.standby is None or address is not self.current:
            return False
        self._faults += 1
        if self._faults < FAILOVER_FAULTS:
            return False
        self._turn(now)
        return True

    def opened(self, address: Address, now: float, *, is_only: bool) -> bool:
        """A session is ready there; whether this turned to it. The primary is always turned to,
        the standby only when there is no session elsewhere."""
        self._faults = 0
        if address is self.current or not (is_only or address is self.primary):
            return False
        self._turn(now)
        return True

    def looks_back(self, now: float) -> bool:
        """Whether it is time to see if the primary is there again; the next time is put off."""
        if self.current is self.primary or now < self._look_at:
            return False
        self._look_at = now + self._failback_s
        return True

    def _turn(self, now: float) -> None:
        assert self.other is not None
        self.current = self.other
        self._faults = 0
        self._look_at = now + self._failback_s
