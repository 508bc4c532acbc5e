"""Routes as the settings say them: told with their place when they are of no use."""

from pathlib import Path

import pytest

from hlrd import config
from hlrd.config import Settings
from hlrd.domain.routing import Identity, RouteError
from hlrd.ne.routefile import routing

EXAMPLE = (Path(__file__).parents[2] / "hlrd.example.toml").read_text("utf-8")
HLRS = ("hlr1", "hlr2")


def settings(folder: Path, *, tables: str = "", file: str | None = None) -> Settings:
    path = folder / "hlrd.toml"
    text = EXAMPLE
    if file is not None:
        (folder / "routes.csv").write_text(file)
        text = f'routes_file = "{folder}/routes.csv"\n{text}'
    path.write_text(text + tables)
    return config.load(path)


def test_tables_and_file_are_one(tmp_path: Path) -> None:
    found = routing(
        settings(tmp_path, file="kind,prefix,ne\nimsi,46004,hlr2\nmsisdn,10649001,hlr2\n"), HLRS
    )

    assert found.home(Identity.MSISDN, "1064900999999") == "hlr1"
    assert found.home(Identity.MSISDN, "1064900199999") == "hlr2"
    assert found.home(Identity.IMSI, "460040000000001") == "hlr2"


def test_two_hlrs_for_one_segment_are_refused_with_both_places(tmp_path: Path) -> None:
    wanted = settings(tmp_path, file="kind,prefix,ne\nimsi,46004,hlr2\nmsisdn,1064900,hlr2\n")

    with pytest.raises(RouteError) as refused:
        routing(wanted, HLRS)

    assert "[[route]] 1" in str(refused.value)
    assert "routes.csv, line 3" in str(refused.value)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("kind,prefix,ne\nmsisdn,106491,hlr9\n", "routes.csv, line 2: hlr9 is none of the HLRs"),
        ("kind,prefix,ne\niccid,106491,hlr1\n", "line 2: kind is msisdn or imsi, not 'iccid'"),
        ("kind,prefix,ne\nmsisdn,10649x,hlr1\n", "line 2: '10649x' is no prefix"),
        ("kind,prefix,ne\nmsisdn,,hlr1\n", "line 2: '' is no prefix"),
        ("kind,prefix,ne\nmsisdn,106491\n", "line 2: 3 values wanted"),
        ("kind,prefix,ne\nmsisdn,106491,hlr1,x\n", "line 2: 3 values wanted"),
        ("prefix,ne\n106491,hlr1\n", "line 1: it must be kind,prefix,ne"),
        ('kind,prefix,ne\nmsisdn,"106491,hlr1\n', "routes.csv, line 2"),
    ],
)
def test_a_bad_line_is_told_with_its_place(tmp_path: Path, file: str, said: str) -> None:
    with pytest.raises(RouteError, match="routes") as refused:
        routing(settings(tmp_path, file=file), HLRS)

    assert said in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    wanted = settings(tmp_path, file="kind,prefix,ne\n")
    (tmp_path / "routes.csv").unlink()

    with pytest.raises(RouteError, match="routes_file: cannot read"):
        routing(wanted, HLRS)


def test_the_table_of_an_unknown_hlr_is_named(tmp_path: Path) -> None:
    with pytest.raises(RouteError, match=r"\[\[route\]\] 1: hlr1 is none of the HLRs \['hlr2'\]"):
        routing(settings(tmp_path), ("hlr2",))
