"""Files that SIGHUP reads again never hold up the loop."""

import os
from pathlib import Path

import pytest

from hlrd.runtime.smallfile import read_small


def test_a_file_comes_whole_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "small"
    file.write_bytes(b"x" * 1024)

    assert read_small(file, 1024) == b"x" * 1024
    with pytest.raises(OSError, match="above 0 KiB"):
        read_small(file, 1023)


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(OSError, match="pipe or device"):
        read_small(pipe, 1024)


@pytest.mark.parametrize(
    ("file", "wrong"),
    [("/dev/zero", "pipe or device"), ("/dev", "Is a directory"), ("/nowhere", "No such file")],
)
def test_what_is_no_file_is_told(file: str, wrong: str) -> None:
    with pytest.raises(OSError, match=wrong):
        read_small(Path(file), 1024)
