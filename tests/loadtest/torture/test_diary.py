"""What is written is what is read."""

from pathlib import Path

import msgspec
import pytest

from loadtest.torture.diary import Act, Diary, Entry, Event, read


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "c00.ndjson")

    sent = diary.write(Event.SENT, Act.RESERVE, ["k"], ttl_s=5.0)
    answered = diary.write(
        Event.ANSWERED, Act.RESERVE, ["k"], status=201, reservation="7", numbers=["1", "2"]
    )
    diary.close()

    first, second = read(tmp_path / "c00.ndjson")
    assert first == Entry(sent, Event.SENT, Act.RESERVE, "k", ttl_s=5.0)
    assert (second.at, second.numbers) == (answered, ["1", "2"])
    assert sent <= answered


def test_each_of_a_batch_has_a_line_of_its_own(tmp_path: Path) -> None:
    diary = Diary(tmp_path / "c00.ndjson")

    diary.write(Event.LOST, Act.OPEN, ["a", "b"], code="TimeoutError")

    assert [entry.id for entry in read(tmp_path / "c00.ndjson")] == ["a", "b"]


def test_a_client_that_starts_again_goes_on_in_its_diary(tmp_path: Path) -> None:
    for name in ("a", "b"):
        diary = Diary(tmp_path / "c00.ndjson")
        diary.write(Event.SENT, Act.OPEN, [name])
        diary.close()

    assert [entry.id for entry in read(tmp_path / "c00.ndjson")] == ["a", "b"]


def test_a_line_that_is_no_entry_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "c00.ndjson").write_text('{"at": 1.0}\n')

    with pytest.raises(msgspec.ValidationError):
        list(read(tmp_path / "c00.ndjson"))
