"""How much of the processor an importer takes, and when it makes way."""

from hlrd.runtime.imports.process import PROMPT_CPU_S, Pace


async def ways_given(*spent_s: float) -> list[int]:
    """After chunks that end when the importer has had so much processor time in all."""
    given: list[int] = []
    chunks = iter(spent_s)
    pace = Pace(spent_s=lambda: next(chunks), give_way=given.append)
    pace.is_busy = False
    for _ in spent_s:
        await pace.rest()
    return given


async def test_a_small_file_is_imported_at_the_daemons_own_priority() -> None:
    assert await ways_given(0.2, 0.5, PROMPT_CPU_S) == []


async def test_a_large_file_gives_way_once_and_for_all() -> None:
    [given] = await ways_given(0.2, PROMPT_CPU_S + 0.1, 60.0)

    assert given > 0
