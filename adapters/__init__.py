"""The dialects of network elements, and the one table from a configuration's name to its class."""

from importlib.resources import files
from typing import Any, Final

from adapters.bboss_relay import BBOSSRelay
from adapters.boss1_relay import BOSS1Relay
from adapters.class1_platform import Class1Platform
from adapters.dsmp import DSMP
from adapters.eoms import EOMS
from adapters.ericsson_cai import EricssonCAI
from adapters.hss_soap import HSSSOAP
from adapters.huawei_hlr import HuaweiHLR
from adapters.iot_gateway import IoTGateway
from adapters.nationwide_management import NationwideManagement
from adapters.osmo_hlr import OsmoHLR
from adapters.pboss_registry import PBOSSRegistry
from adapters.province_management import ProvinceManagement
from adapters.province_platform import ProvincePlatform
from hlrd.ne.adapter import Adapter

DIALECTS: Final[dict[str, type[Adapter[Any]]]] = {
    adapter.dialect: adapter
    for adapter in (
        HuaweiHLR,
        HSSSOAP,
        EricssonCAI,
        OsmoHLR,
        DSMP,
        Class1Platform,
        ProvincePlatform,
        ProvinceManagement,
        NationwideManagement,
        IoTGateway,
        EOMS,
        BBOSSRelay,
        BOSS1Relay,
        PBOSSRegistry,
    )
}


def shipped_replies(dialect: str) -> str:
    """The text of the dialect's own table, `replies/<dialect>.toml`, behind that of its family."""
    names = filter(None, (DIALECTS[dialect].family, dialect))
    tables = [files("adapters.replies").joinpath(f"{name}.toml") for name in names]
    return "\n".join(table.read_text("utf-8") for table in tables)
