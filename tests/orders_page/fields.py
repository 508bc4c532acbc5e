"""The fields of an order kind as its shape declares them: form from the type, meaning from the
comment beside it.
"""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

import msgspec.inspect
from msgspec import NODEFAULT

from hlrd.domain.catalogue import OrderKind
from hlrd.domain.identity import ICCIDText, IMSIText, KeyText, MSISDNText
from hlrd.domain.orders.header import (
    Header,
    MonthText,
    NameText,
    NoteText,
    OperatorText,
    OrderIdText,
    ProvinceText,
    TimeText,
    UserHeader,
)
from hlrd.domain.product import ElementText, LabelText, ParameterText, ValueText
from hlrd.domain.suspension import Reason

COMMON: Final = frozenset((*Header.__struct_fields__, *UserHeader.__struct_fields__))
"""Told once, in docs/api.md."""

SHARED: Final[Mapping[str, str]] = {
    "msisdn": "the user's number",
    "ec_code": "the enterprise",
    "ec_name": "its name, for the platforms",
    "product": "the product's id",
    "product_version": "its version",
    "product_class": "class of the product (一类, 二类, 三类业务)",
    "PRODUCT_PUBLISH.product_version": "goes up",
    "PRODUCT_PUBLISH.services": "what it consists of ([products.md](products.md))",
    "quarantine_days": "how long the number rests",
    "state_version": "counted by the state master",
    "MEMBER_ACTIVATE.reasons": "it is born stopped for them",
    "services": "functions that the HLR template switches on",
    "digits": "of the number that is drawn",
    "pool": "the number pool that it is drawn from",
    "imsi": "of the card",
    "iccid": "the card",
    "keyid": "transport key of `ki`",
    "algorithm": "of the card",
    "card_type": "of the card",
    "level": "1 one-way (单停), 2 two-way (双停)",
    "reason": "why the user is stopped",
    "account_id": "the account that owes; recorded",
    "bill_month": "that is owed for; recorded",
    "payment_id": "recorded",
    "cause": "in upstream's words; recorded",
    "attributes": "values of the product's parameters; one with a single value may be left out",
    "name": "for people and platforms",
    "platforms": "NEs beside the DSMP that learn of it",
    "on_stopped_line": "what becomes of a subscription while the line is stopped",
    "scope": "where members may be",
    "route": "the relay that headquarters is told by",
    "lead_province": "the province that sold",
    "partner_provinces": "where it is published to",
    "partner_province": "where the member was opened",
    "rows": "of the file",
    "check": "what is looked at",
    "NE_REPAIR.imsi": "of a record that is to be removed",
    "document": "number of the paper that asks for it",
    "hlr": "of a record that is to be removed",
    "approved_by": "the second person, for a removal",
}
"""Where the shape has no comment that a page can use; of one kind alone where it is named."""


class Field(NamedTuple):
    name: str
    form: str
    default: str  #: `mandatory`, or what it is when absent
    meaning: str


def fields_of(kind: OrderKind) -> Iterator[Field]:
    info = msgspec.inspect.type_info(kind.shape)
    assert isinstance(info, msgspec.inspect.StructType)
    told = _comments(kind.shape)
    for one in info.fields:
        if one.name in COMMON:
            continue
        meaning = _meaning(f"{kind.name}.{one.name}", told.get(one.name, ""))
        yield Field(one.name, _form(one.type), _default(one), meaning)


def _meaning(name: str, comment: str) -> str:
    """A comment that only says what becomes of a field that is absent stands behind what it is."""
    shared = SHARED.get(name) or SHARED.get(name.partition(".")[2], "")
    if comment and name not in SHARED:
        return f"{shared}; {comment}" if comment.startswith("absent:") else comment
    assert shared, f"{name} says nothing of itself"
    return shared


def _comments(shape: type) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for each in reversed(shape.__mro__[:-1]):
        if each.__module__.startswith("hlrd."):
            found |= _comments_in(textwrap.dedent(inspect.getsource(each)))
    return found


def _comments_in(source: str) -> Iterator[tuple[str, str]]:
    lines = source.splitlines()
    [body] = [node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for at, node in enumerate(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            _, is_told, comment = lines[(node.end_lineno or 1) - 1].partition("#: ")
            behind = body[at + 1] if at + 1 < len(body) else None
            if is_told:
                yield node.target.id, comment
            elif isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
                sentence = " ".join(str(behind.value.value).split()).removesuffix(".")
                yield node.target.id, sentence[0].lower() + sentence[1:]


def _default(one: msgspec.inspect.Field) -> str:
    value = one.default if one.default is not NODEFAULT else None
    if one.default_factory is not NODEFAULT:
        value = one.default_factory()
    if one.required:
        return "mandatory"
    return "" if value in (None, [], {}) else _plain(value)


def _plain(value: Any) -> str:
    """As JSON has it, without the quotation marks and brackets that a table has no need of."""
    words = value if isinstance(value, list) else [value]
    return ", ".join(f"`{json.dumps(one).strip(chr(34))}`" for one in words)


def _pattern(text: Any) -> str:
    info = msgspec.inspect.type_info(text)
    assert isinstance(info, msgspec.inspect.StrType)
    return str(info.pattern)


_WORDS: Final[Mapping[str, str]] = {
    _pattern(MSISDNText): "11 or 13 digits",
    _pattern(IMSIText): "15 digits",
    _pattern(ICCIDText): "19 or 20 characters",
    _pattern(KeyText): "32 hexadecimal digits",
    _pattern(OrderIdText): "1 to 32 of `A-Z a-z 0-9 _ -`",
    _pattern(ProvinceText): "company code",
    _pattern(OperatorText): "1 to 20 visible characters",
    _pattern(NameText): "name",
    _pattern(TimeText): "`yyyyMMddHHmmss`",
    _pattern(MonthText): "`yyyyMM`",
    _pattern(NoteText): "text of up to 200",
    _pattern(ElementText): "name of an NE",
    _pattern(LabelText): "text of up to 60",
    _pattern(ParameterText): "parameter",
    _pattern(ValueText): "value",
    r"\A[1-9][0-9]{0,17}\Z": "id",
    r"\A[0-9]{1,19}\Z": "1 to 19 digits",
    r"\A[A-Za-z0-9]{1,20}\Z": "1 to 20 letters and digits",
}


def _form(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(
                _form(one) for one in types if not isinstance(one, msgspec.inspect.NoneType)
            )
        case msgspec.inspect.StrType(pattern=pattern):
            return _WORDS[str(pattern)]
        case msgspec.inspect.IntType(ge=low, le=high):
            return _range(low, high)
        case msgspec.inspect.BoolType():
            return "true or false"
        case msgspec.inspect.LiteralType(values=values):
            return ", ".join(f"`{value}`" for value in values)
        case msgspec.inspect.EnumType(cls=cls) if cls is Reason:
            return "[reason](suspension.md)"
        case msgspec.inspect.EnumType(cls=cls):
            return ", ".join(f"`{one.value}`" for one in _members(cls))
        case msgspec.inspect.ListType(item_type=item, max_length=most):
            return f"list of {_form(item)}" if most is None else f"up to {most} of: {_form(item)}"
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return f"{_form(key)}: {_form(value)}"
        case msgspec.inspect.StructType(fields=fields):
            return "{" + ", ".join(f"`{one.name}`" for one in fields) + "}"
    raise AssertionError(f"no words for {info}")


def _members(cls: type) -> Iterator[Enum]:
    assert issubclass(cls, Enum)
    return iter(cls)


def _range(low: int | None, high: int | None) -> str:
    if high is None or high >= 2**31 - 1:
        return f"{low} or more"
    return f"{low} to {high:,}"
