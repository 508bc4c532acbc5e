"""One good document of each kind, to be spoilt."""

from typing import Any

HEADER: dict[str, Any] = {
    "order_id": "A-1",
    "province": "200",
    "operator_id": "op7",
    "user_id": "0012",
}
CARD = {"imsi": "460040000000001", "iccid": "89860420202400000019"}
OF_NOBODY = {name: value for name, value in HEADER.items() if name != "user_id"}
OF_EC = {**OF_NOBODY, "ec_code": "EC1", "product": "IOT-TRACK"}
GOOD: dict[str, dict[str, Any]] = {
    "MEMBER_ACTIVATE": {**HEADER, "type": "MEMBER_ACTIVATE", "ec_code": "EC1"},
    "MEMBER_OPEN": {
        **HEADER,
        **CARD,
        "type": "MEMBER_OPEN",
        "msisdn": "1064700000001",
        "services": ["SMS", "GPRS"],
        "ec_code": "EC1",
    },
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
    "SIM_REPLACE": {**HEADER, "type": "SIM_REPLACE", "msisdn": "13800000001"},
    "NUMBER_CHANGE": {**HEADER, "type": "NUMBER_CHANGE", "msisdn": "13800000001"},
    "USER_TERMINATE": {**HEADER, "type": "USER_TERMINATE", "msisdn": "13800000001"},
    "EC_PRODUCT_SUBSCRIBE": {
        **OF_EC,
        "type": "EC_PRODUCT_SUBSCRIBE",
        "ec_name": "示例集团",
        "product_class": 2,
    },
    "EC_PRODUCT_CANCEL": {**OF_EC, "type": "EC_PRODUCT_CANCEL"},
    "PARTNER_PRODUCT_PUBLISH": {
        **OF_EC,
        "type": "PARTNER_PRODUCT_PUBLISH",
        "ec_name": "示例集团",
        "lead_province": "280",
    },
    "PARTNER_MEMBER_IMPORT": {
        **OF_NOBODY,
        "type": "PARTNER_MEMBER_IMPORT",
        "ec_code": "EC1",
        "msisdn": "1064700000001",
        "partner_province": "280",
    },
    "MEMBER_PRODUCT_SUBSCRIBE": {
        **HEADER,
        "type": "MEMBER_PRODUCT_SUBSCRIBE",
        "ec_code": "EC1",
        "product": "IOT-TRACK",
    },
    "MEMBER_PRODUCT_UNSUBSCRIBE": {
        **HEADER,
        "type": "MEMBER_PRODUCT_UNSUBSCRIBE",
        "ec_code": "EC1",
        "product": "IOT-TRACK",
    },
    "MEMBER_REMOVE": {**HEADER, "type": "MEMBER_REMOVE", "ec_code": "EC1"},
}
KI = "0123456789abcdef0123456789ABCDEF"
