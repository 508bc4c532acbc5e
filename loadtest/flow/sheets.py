"""What people do for an order: the work sheets of the EOMS (工单), and their answers."""

from typing import Any, Final

from loadtest.business.message import Party
from loadtest.flow.site import Site
from loadtest.flow.telecom import EOMS, Line

PERSON: Final = "li.si"
REPLY: Final = "工单回复"


async def sheets_of(site: Site, line: Line) -> list[dict[str, Any]]:
    """Those about a user, oldest first."""
    return [row for row in await site.dump(EOMS) if row["content"].get("user_id") == line.user_id]


async def sheet_of(site: Site, line: Line) -> dict[str, Any]:
    """The one that people have to answer, once it is there."""

    async def look() -> dict[str, Any] | None:
        rows = await sheets_of(site, line)
        return next((row for row in rows if row.get("state", "open") == "open"), None)

    found: dict[str, Any] = await site.until(look, f"a sheet for user {line.user_id}")
    return found


async def answered(site: Site, sheet: dict[str, Any], result: str, text: str) -> None:
    """By the person whose work it was."""
    number = sheet["number"]
    site.said(Party.MAINTENANCE, Party.EOMS, REPLY, f"{number} {result}")
    word = {"result": result, "by": PERSON, "text": text}
    await site.control(EOMS, "PUT", f"/sheets/{number}/reply", word)


async def sheet_closed(site: Site, line: Line) -> dict[str, Any]:
    """The one of a user, once hlrd has read its answer and closed it."""

    async def look() -> dict[str, Any] | None:
        return next(
            (row for row in await sheets_of(site, line) if row.get("state") == "closed"), None
        )

    found: dict[str, Any] = await site.until(look, f"the sheet for user {line.user_id} is closed")
    return found
