"""The dialects of network elements, and the one table from a configuration's name to its class."""

from importlib.resources import files
from typing import Any, Final

from adapters.dsmp import DSMP
from adapters.huawei_hlr import HuaweiHLR
from adapters.osmo_hlr import OsmoHLR
from hlrd.ne.adapter import Adapter

DIALECTS: Final[dict[str, type[Adapter[Any]]]] = {
    adapter.dialect: adapter for adapter in (HuaweiHLR, DSMP, OsmoHLR)
}


def shipped_replies(dialect: str) -> str:
    """The text of the dialect's own table, `replies/<dialect>.toml` (`hlrd.ne.replies.read`)."""
    return files("adapters.replies").joinpath(f"{dialect}.toml").read_text("utf-8")
