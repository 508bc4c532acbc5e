"""One good document of each kind, to be spoilt."""

from typing import Any

HEADER: dict[str, Any] = {
    "order_id": "A-1",
    "province": "200",
    "operator_id": "op7",
    "user_id": "0012",
}
CARD = {"imsi": "460040000000001", "iccid": "89860420202400000019"}
GOOD: dict[str, dict[str, Any]] = {
    "MEMBER_ACTIVATE": {**HEADER, "type": "MEMBER_ACTIVATE", "ec_code": "EC1"},
    "USER_OPEN": {
        **HEADER,
        **CARD,
        "type": "USER_OPEN",
        "msisdn": "1064700000001",
        "services": ["SMS", "GPRS"],
    },
    "ARREARS_SUSPEND": {
        **HEADER,
        "type": "ARREARS_SUSPEND",
        "msisdn": "13800000001",
        "level": 2,
    },
    "PAYMENT_RESUME": {**HEADER, "type": "PAYMENT_RESUME", "msisdn": "13800000001"},
    "VOLUNTARY_SUSPEND": {**HEADER, "type": "VOLUNTARY_SUSPEND", "msisdn": "13800000001"},
    "VOLUNTARY_RESUME": {**HEADER, "type": "VOLUNTARY_RESUME", "msisdn": "13800000001"},
    "OPERATOR_SUSPEND": {
        **HEADER,
        "type": "OPERATOR_SUSPEND",
        "msisdn": "13800000001",
        "reason": "FRAUD",
        "document": "工信 12号",
    },
    "OPERATOR_RESUME": {
        **HEADER,
        "type": "OPERATOR_RESUME",
        "msisdn": "13800000001",
        "reason": "LOST",
    },
    "PRE_TERMINATE": {**HEADER, "type": "PRE_TERMINATE", "msisdn": "13800000001"},
    "REINSTATE": {**HEADER, "type": "REINSTATE", "msisdn": "13800000001"},
    "USER_TERMINATE": {**HEADER, "type": "USER_TERMINATE", "msisdn": "13800000001"},
}
KI = "0123456789abcdef0123456789ABCDEF"
