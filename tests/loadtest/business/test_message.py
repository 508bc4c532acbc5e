import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.business import message
from loadtest.business.message import Messages, Party


@given(noted=st.integers(0, 60), after=st.integers(0, 70))
def test_a_reader_gets_each_message_past_its_number_once_and_in_order(
    noted: int, after: int
) -> None:
    messages = Messages()
    for number in range(noted):
        messages.note(Party.CRM, Party.BOSS, f"m{number}")

    rest = messages.after(after)

    assert [number for number, _ in rest] == list(range(after + 1, noted + 1))
    assert [one.name for _, one in rest] == [f"m{number}" for number in range(after, noted)]


def test_a_storm_drops_the_oldest_and_keeps_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message, "MESSAGES_MAX", 3)
    messages = Messages()

    for number in range(5):
        messages.note(Party.CRM, Party.BOSS, f"m{number}")

    assert [number for number, _ in messages.after(0)] == [3, 4, 5]


def test_times_never_go_back() -> None:
    messages = Messages()
    for _ in range(10):
        messages.note(Party.CRM, Party.BOSS, "m")

    times = [one.at for _, one in messages.after(0)]

    assert times == sorted(times)


def test_a_provinces_own_system_has_its_code_behind_it() -> None:
    assert Party.ESOP.of("200") == "ESOP 200"
