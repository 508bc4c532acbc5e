"""The database that a business system is said to have: tables in memory, each access noted."""

from collections.abc import Iterator
from typing import Any, Final, Generic, TypeVar

from loadtest.business.message import Messages
from loadtest.business.system import Declined

R = TypeVar("R")

ROWS_MAX: Final = 300_000
"""Of one table; at about 1 KB a row of the largest, 300 MB. More is declined."""

_REQUEST: Final = "数据访问请求"
_ANSWER: Final = "数据访问响应"


class Table(Generic[R]):
    def __init__(self, what: str) -> None:
        self._what = what  #: for who asks for a row that is not there
        self._rows: dict[str, R] = {}

    def put(self, key: str, row: R) -> None:
        if key not in self._rows and len(self._rows) >= ROWS_MAX:
            raise Declined(507, "TABLE_FULL", f"no more than {ROWS_MAX} {self._what}s are kept")
        self._rows[key] = row

    def drop(self, key: str) -> None:
        self._rows.pop(key, None)

    def find(self, key: str) -> R | None:
        return self._rows.get(key)

    def get(self, key: str) -> R:
        """Raises Declined with 404, as `CUSTOMER_UNKNOWN`."""
        row = self._rows.get(key)
        if row is None:
            raise Declined(404, f"{self._what.upper()}_UNKNOWN", f"no {self._what} {key}")
        return row

    def rows(self) -> Iterator[R]:
        return iter(list(self._rows.values()))

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)


class Database:
    def __init__(self, messages: Messages, *, owner: str, name: str) -> None:
        self._messages = messages
        self._owner = owner
        self._name = name

    def accessed(self, what: str, subject: Any = "", *, times: int = 1) -> None:
        """Note one access, or one statement over many rows."""
        detail = f"{what} {subject}" if times == 1 else f"{what} ×{times}"
        self._messages.note(self._owner, self._name, _REQUEST, detail.strip())
        self._messages.note(self._name, self._owner, _ANSWER, detail.strip(), is_answer=True)
