"""The dialects of network elements, and the one table from a configuration's name to its class."""

from typing import Any, Final

from adapters.dsmp import DSMP
from adapters.huawei_hlr import HuaweiHLR
from hlrd.ne.adapter import Adapter

DIALECTS: Final[dict[str, type[Adapter[Any]]]] = {
    adapter.dialect: adapter for adapter in (HuaweiHLR, DSMP)
}
