"""The real clock."""

import time
from datetime import UTC, datetime
from typing import Final


class SystemClock:
    monotonic: Final = staticmethod(time.monotonic)  # asked twenty times an order

    def wall(self) -> datetime:
        return datetime.now(UTC)
