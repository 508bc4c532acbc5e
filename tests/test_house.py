"""The house keeps its own rules: drawn pages are current, links and commands in the documents work,
and no file names a machine or a registry."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

import pytest

from tests import draw

ROOT: Final = Path(__file__).parents[1]
FILE_LINES_MAX: Final = 580
"""A long file is two things. This is our longest, and may only become less."""

_LINK: Final = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)")
_MAKE: Final = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
_TARGET: Final = re.compile(r"^([a-z-]+):.*##", re.MULTILINE)
_FOLDERS: Final = (".ci", "adapters", "docs", "hlrd", "loadtest", "tests")
_ENGLISH: Final = {"sure", "it", "the", "a", "an", "no", "one", "out", "of", "up"}  # "make sure"


def tracked(*patterns: str) -> list[Path]:
    """Files of the project by pathspec; all that are there where this is no git checkout."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", *patterns], cwd=ROOT, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return [path for path in _all_files() if _matches(path, patterns)]
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def _all_files() -> list[Path]:
    folders = [path for path in map(ROOT.joinpath, _FOLDERS) if path.is_dir()]
    inside = [path for folder in folders for path in folder.rglob("*")]
    files = [path for path in (*inside, *ROOT.iterdir()) if path.is_file()]
    return [path for path in files if "__pycache__" not in path.parts]


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    name = path.relative_to(ROOT).as_posix()
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def texts(*patterns: str) -> dict[str, str]:
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8", "replace")
        for path in tracked(*patterns)
    }


@pytest.mark.parametrize("page", draw.PAGES, ids=lambda page: page.name)
def test_a_drawn_page_says_what_the_code_says(page: Path) -> None:
    assert page.read_text("utf-8") == draw.PAGES[page](), "make docs"


def test_every_make_command_of_the_documents_exists() -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))

    named = {
        (name, target)
        for name, text in texts("*.md").items()
        for target in _MAKE.findall(text)
        if target not in _ENGLISH
    }

    assert {"demo", "test", "run", "bench", "sim"} <= targets
    assert [pair for pair in sorted(named) if pair[1] not in targets] == []


def test_every_link_of_the_documents_leads_somewhere() -> None:
    broken = [
        (name, link)
        for name, text in texts("*.md").items()
        for link in _LINK.findall(text)
        if not (ROOT / name).parent.joinpath(link).exists()
    ]

    assert broken == []


def test_every_metric_named_in_the_documents_exists() -> None:
    suffixes = ("", "_bucket", "_count", "_sum")
    exported = {name + suffix for _, name, _, _ in draw.declared_metrics() for suffix in suffixes}

    named = {
        (name, metric)
        for name, text in texts("*.md").items()
        for metric in re.findall(r"\bhlrd_[a-z_]+\b(?![*.(/])", text)
    }

    assert named
    assert [pair for pair in sorted(named) if pair[1] not in exported] == []


def test_every_decision_record_is_listed() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text("utf-8")

    records = [path.name for path in tracked("docs/adr/[0-9]*.md")]

    assert records
    assert [name for name in records if f"({name})" not in listed] == []


def test_no_file_names_a_machine_path_or_a_registry() -> None:
    hosts = ("pypi." + "org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian.org")
    folders = tuple(f"/{name}/" for name in ("work", "root", "home"))

    found = [
        (name, word)
        for name, text in texts().items()
        for word in (*hosts, *folders)
        if word in text
    ]

    assert found == []


def test_the_lock_pins_every_package_by_hash() -> None:
    entries = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()

    pinned = {entry.split("==")[0] for entry in entries}

    assert all(re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line) for line in entries)
    assert direct_dependencies() <= pinned, "make lock"


def direct_dependencies() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=]", dependency)[0] for dependency in wanted}
    return names - {"hlrd"}


def test_no_file_has_grown_into_two() -> None:
    long = {
        name: count
        for name, text in texts("hlrd/*.py", "adapters/*.py", "loadtest/*.py").items()
        if (count := text.count("\n")) > FILE_LINES_MAX
    }

    assert long == {}


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    soft = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)\b")

    found = [name for name, text in texts("tests/*.py").items() if soft.search(text)]

    assert found == []
