"""After the campaign: draw until nothing is left, so that what leaked shows as missing."""

import asyncio
from typing import Final

from loadtest.process import StackError
from loadtest.torture.client import Client

_RESERVATION: Final = 100
_BATCH: Final = 200
RESTS: Final = 4
_REST_S: Final = 1.3
"""The daemon looks at its free lists every few seconds at the latest."""

_NO_CARD: Final = "STOCK_EXHAUSTED"
_ROUNDS_MAX: Final = 100_000


async def numbers(client: Client, *, rests: int) -> list[str]:
    """All of the pool: by reservations, and what the daemon has in memory by orders. Over when
    nothing came after so many rests in a row.
    """
    drawn: list[str] = []
    misses = 0
    cards_refused = client.tally.refused[_NO_CARD]
    for _ in range(_ROUNDS_MAX):
        came = await _reserved(client) or await _opened(client)
        drawn += came
        misses = 0 if came else misses + 1
        if misses > rests:
            return drawn
        if not came:
            _refuse_without_cards(client, cards_refused)
            await asyncio.sleep(_REST_S)
    raise StackError(f"the pool gave {len(drawn):,} numbers and would go on")


async def cards(client: Client, *, pool: str) -> int:
    """All that can be drawn with numbers of `pool`, of which there are more than cards."""
    drawn = 0
    while came := len(await client.open(_BATCH, pool=pool)):
        drawn += came
    return drawn


def _refuse_without_cards(client: Client, before: int) -> None:
    if client.tally.refused[_NO_CARD] > before:
        raise StackError("the cards ran out before the numbers; more of them must be imported")


async def _reserved(client: Client) -> list[str]:
    made = await client.reserve(_RESERVATION, partial=True)
    return [] if made is None else list(made.numbers)


async def _opened(client: Client) -> list[str]:
    return [each.msisdn for each in await client.open(_BATCH)]
