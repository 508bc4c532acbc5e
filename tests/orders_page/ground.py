"""What examples are made of, and the orders that prepare the ground for them."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from hlrd.domain.orders import Source
from tests.engine.stage import KI
from tests.orders_page.bench import Bench, card, number

Step = Callable[[Bench], object]
Document = Mapping[str, Any]

HEADER: Final[Document] = {"order_id": "A-1", "province": "200", "operator_id": "zhang3"}
USER: Final[Document] = {**HEADER, "user_id": "9001", "msisdn": number(1)}
MEMBER: Final[Document] = {**HEADER, "user_id": "9002", "ec_code": "EC1001"}
OF_EC: Final[Document] = {**HEADER, "ec_code": "EC1001", "product": "TRACK"}
MEMBER_NUMBER: Final = number(11)
"""The first that is drawn."""

APN: Final[Document] = {
    "name": "APN",
    "kind": "function",
    "parameters": {"context": ["7"], "apn": ["cmiot.gd"]},
    "scripts": [
        {
            "dialect": "huawei_hlr",
            "add": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=ADDPDPCNTX,CNTXID={context},APN="{apn}"',
            "remove": 'MOD GPRS_CONTEXT:IMSI="{imsi}",PROV=RMVPDPCNTX,CNTXID={context}',
        }
    ],
}
VIDEO: Final[Document] = {
    "name": "VIDEO",
    "kind": "content",
    "relation": {"sp_id": "900002", "sp_service_id": "VIDEO01"},
}
USER_OPEN: Final[Document] = {
    "type": "USER_OPEN",
    **USER,
    "imsi": card(1).imsi,
    "iccid": card(1).iccid,
    "services": ["GPRS", "SMS"],
}
MEMBER_OPEN: Final[Document] = {
    "type": "MEMBER_OPEN",
    **USER,
    "imsi": card(99).imsi,
    "iccid": card(99).iccid,
    "ki": KI,
    "keyid": 3,
    "services": ["GPRS", "SMS"],
    "ec_code": "EC1001",
}
PUBLISH: Final[Document] = {
    "type": "PRODUCT_PUBLISH",
    **HEADER,
    "product": "VIDEO",
    "product_version": 1,
    "name": "物联网视频",
    "services": [APN, VIDEO],
    "platforms": ["platform"],
}
PUBLISH_TRACK: Final[Document] = {
    **PUBLISH,
    "product": "TRACK",
    "name": "定位",
    "services": [APN],
    "platforms": ["nation", "class1"],
}
PUBLISH_MANUAL: Final[Document] = {
    **PUBLISH,
    "product": "FIXED-IP",
    "name": "固定IP",
    "services": [
        {"name": "IP", "kind": "resource", "manual": {"open": "give the user a fixed address"}}
    ],
    "platforms": [],
}
SUBSCRIBE: Final[Document] = {"type": "PRODUCT_SUBSCRIBE", **USER, "product": "VIDEO"}
SUBSCRIBE_EC: Final[Document] = {
    "type": "EC_PRODUCT_SUBSCRIBE",
    **OF_EC,
    "ec_name": "示例集团",
    "product_class": 1,
}
ACTIVATE: Final[Document] = {"type": "MEMBER_ACTIVATE", **MEMBER}
SUBSCRIBE_MEMBER: Final[Document] = {
    "type": "MEMBER_PRODUCT_SUBSCRIBE", **MEMBER, "product": "TRACK",
}  # fmt: skip


def posted(document: Document, source: str = Source.OPS, **changes: Any) -> Step:
    """An order that succeeded before."""

    def post(bench: Bench) -> None:
        ended = bench.post({**document, **changes, "order_id": bench.next_id()}, source)
        assert ended.said.startswith("succeeded"), (document, ended)

    return post


def of_user(kind: str, **fields: Any) -> Step:
    return posted({"type": kind, **USER, **fields})


OPENED: Final = posted(USER_OPEN)
PUBLISHED: Final = posted(PUBLISH)
EC_READY: Final = (posted(PUBLISH_TRACK), posted(SUBSCRIBE_EC))
MEMBER_READY: Final = (*EC_READY, posted(ACTIVATE))
IN_ARREARS: Final = of_user("ARREARS_SUSPEND", level=2)
STOPPED: Final = of_user("VOLUNTARY_SUSPEND")


def leave_a_record(bench: Bench) -> None:
    """A record at the HLR that nobody is meant to have."""
    imsi = card(2).imsi
    bench.by_hand(
        f'ADD KI:HLRSN=1,IMSI="{imsi}",OPERTYPE=ADD,KIVALUE="{"1234" * 8}",K4SNO=3,'
        "CARDTYPE=USIM,ALG=MILENAGE;"
    )
    bench.by_hand(f'ADD TPLSUB:HLRSN=1,IMSI="{imsi}",ISDN="86{number(5)}",TPLTYPE=NORMAL,TPLID=1;')
