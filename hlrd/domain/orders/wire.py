"""Work orders as upstream posts them and as the journal keeps them: decoded, checked, encoded.

Every field rule that needs no knowledge beyond the order itself is here or in the shape; what needs
the user, the stock or other orders is in `engine.intake`.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, get_args

import msgspec

from hlrd import limits
from hlrd.domain import identity
from hlrd.domain.errors import BadRequest, Refusal
from hlrd.domain.identity import UserId
from hlrd.domain.imports import IMPORTS
from hlrd.domain.orders.batch import FanOut
from hlrd.domain.orders.change import (
    NumberChange,
    SIMReplace,
    normalize_card,
    normalize_number,
)
from hlrd.domain.orders.group import OfEnterprise, PartnerMemberImport, normalize_group
from hlrd.domain.orders.header import BEIJING, PROVINCES, UserHeader
from hlrd.domain.orders.product import ProductPublish
from hlrd.domain.orders.repair import NERepair
from hlrd.domain.orders.standing import OfStateMaster, refuse_bad_word
from hlrd.domain.orders.work_order import Opening, OpeningNamed, WorkOrder


class _Typed(msgspec.Struct):
    type: str


_DECODER: Final[msgspec.json.Decoder[WorkOrder]] = msgspec.json.Decoder(WorkOrder)
_TYPED: Final = msgspec.json.Decoder(_Typed)
_OF_PRODUCT: Final = "product:"
_OF_BATCH: Final = "batch:"
_OF_EC: Final = "ec:"
_OF_PARTNER: Final = "partner:"  #: a member of another province
_BRINGING_KEYS: Final = frozenset({*get_args(OpeningNamed), SIMReplace})
_PATH: Final = re.compile(r" - at `\$\.?(.*)`\Z")


def decode(document: bytes | msgspec.Raw) -> WorkOrder:
    """One order from its JSON; a refusal names the field by its path and never quotes its value."""
    if len(memoryview(document)) > limits.ORDER_BYTES_MAX:
        raise BadRequest("ORDER_TOO_LARGE", f"one order is at most {limits.ORDER_BYTES_MAX} bytes")
    try:
        order = _DECODER.decode(document)
    except msgspec.ValidationError as error:
        refusal = refusal_of(error)
        raise (refusal.code == "KIND_UNKNOWN" and _of_import(document)) or refusal from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest("JSON_INVALID", f"not a JSON document: {error}") from None
    _normalize(order)
    _refuse_bad_key(order)
    return order


def _of_import(document: bytes | msgspec.Raw) -> Refusal | None:
    """Who posts what has a route of its own is told where."""
    try:
        named = _TYPED.decode(document).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    kind = next((kind for kind in IMPORTS if kind.name == named), None)
    if kind is None:
        return None
    return BadRequest("KIND_NOT_POSTED", f"{named} is no JSON order: {kind.route}", "type")


def of_fields(fields: Mapping[str, Any], *, is_text: bool) -> WorkOrder:
    """An order from its fields, which are as a CSV has them if `is_text`: refused as `decode`."""
    try:
        order: WorkOrder = msgspec.convert(fields, WorkOrder, strict=not is_text)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None
    _normalize(order)
    _refuse_bad_key(order)
    return order


def with_fields(payload: bytes, fields: Mapping[str, object]) -> WorkOrder:
    """A stored order with other values in some fields, refused as `decode`; null takes one out."""
    document = msgspec.json.decode(payload) | fields
    told = {name: value for name, value in document.items() if value is not None}
    try:
        order: WorkOrder = msgspec.convert(told, WorkOrder)
    except msgspec.ValidationError as error:
        raise refusal_of(error) from None
    _normalize(order)
    return order


def encode(order: WorkOrder) -> bytes:
    """The stored form. An order must have lost its `ki` before (`engine.intake` seals it)."""
    assert not getattr(order, "ki", None), "a Ki would be stored in clear"
    return msgspec.json.encode(order)


def decode_stored(payload: bytes) -> WorkOrder:
    """What `encode` wrote. It was checked when it came in, and has no Ki beside its `keyid`."""
    return _DECODER.decode(payload)


def content_hash(order: WorkOrder) -> bytes:
    """16 bytes over the content, for telling a repeat from another order under the same id.

    Taken over the decoded order, so spacing, the order of keys and spelled-out defaults do not make
    another content; `mode` and `deadline_ms` say how to answer, not what to do, and do not count.
    """
    as_stored = order
    if order.mode != "async" or order.deadline_ms is not None:
        as_stored = msgspec.structs.replace(order, mode="async", deadline_ms=None)
    return hashlib.blake2b(msgspec.json.encode(as_stored), digest_size=16).digest()


def lane_of(order: WorkOrder) -> UserId:
    """Orders of one lane run one after the other: of one user, of one product, of one enterprise. A
    user id has digits only, so they never meet.
    """
    if isinstance(order, UserHeader):
        return UserId(order.user_id)
    if isinstance(order, ProductPublish):
        return UserId(f"{_OF_PRODUCT}{order.product}")
    if isinstance(order, FanOut):
        kind = type(order).__struct_config__.tag  # each has a lane of its own, whoever sent it
        return UserId(f"{_OF_BATCH}{kind}:{order.order_id}")
    if isinstance(order, OfEnterprise):
        return UserId(f"{_OF_EC}{order.ec_code}")
    return UserId(f"{_OF_PARTNER}{order.ec_code}:{order.msisdn}")


def user_of(lane: str) -> str | None:
    """None for a lane that is no user's."""
    return None if lane.startswith((_OF_PRODUCT, _OF_BATCH, _OF_EC, _OF_PARTNER)) else lane


def refuse_bad_times(order: WorkOrder, now: datetime) -> None:
    """`now` with a time zone."""
    accepted = _moment(order.accept_time, "accept_time")
    if accepted and accepted - now > timedelta(seconds=limits.ACCEPT_TIME_AHEAD_S_MAX):
        raise BadRequest(
            "ACCEPT_TIME_IN_FUTURE", "more than 10 minutes ahead of hlrd's clock", "accept_time"
        )
    effective = _moment(order.effective_time, "effective_time")
    if effective and effective - now > timedelta(days=limits.EFFECTIVE_TIME_AHEAD_DAYS_MAX):
        days = limits.EFFECTIVE_TIME_AHEAD_DAYS_MAX
        text = f"more than {days} days ahead; post the order later"
        raise BadRequest("EFFECTIVE_TIME_TOO_FAR", text, "effective_time")


def due_of(order: WorkOrder, now: datetime) -> datetime | None:
    """When an order that is dated ahead falls due; None for one that may run at once."""
    effective = _moment(order.effective_time, "effective_time")
    return effective if effective and effective > now else None


def _moment(text: str | None, field: str) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise BadRequest("TIME_INVALID", "not a moment as yyyyMMddHHmmss", field) from None


def _normalize(order: WorkOrder) -> None:
    if order.province not in PROVINCES:
        raise BadRequest("PROVINCE_UNKNOWN", "not a company code (docs/api.md)", "province")
    if isinstance(order, ProductPublish | FanOut):
        return
    if isinstance(order, OfEnterprise | PartnerMemberImport):
        normalize_group(order)
        return
    if order.msisdn is not None:
        order.msisdn = identity.parse_msisdn(order.msisdn)
    if isinstance(order, Opening):
        _normalize_opening(order)
    elif isinstance(order, NumberChange):
        normalize_number(order)
    elif isinstance(order, SIMReplace):
        normalize_card(order)
    elif isinstance(order, NERepair) and order.services is not None:
        order.services = sorted(set(order.services))
    if isinstance(order, OfStateMaster | NERepair):
        refuse_bad_word(order)


def _normalize_opening(order: Opening) -> None:
    if order.iccid is not None:
        order.iccid = identity.parse_iccid(order.iccid)
    if len(set(order.services)) != len(order.services):
        raise BadRequest("SERVICE_TWICE", "a service is named twice", "services")
    order.services.sort()
    if order.reasons:
        if len({one.reason for one in order.reasons}) != len(order.reasons):
            raise BadRequest("REASON_TWICE", "a reason is named twice", "reasons")
        order.reasons.sort(key=lambda one: one.reason)


def _refuse_bad_key(order: WorkOrder) -> None:
    """Not of a stored order: its Ki is sealed, and its `keyid` stands alone."""
    if type(order) not in _BRINGING_KEYS:
        return
    assert isinstance(order, OpeningNamed | SIMReplace)
    if (order.ki is None) != (order.keyid is None):
        raise BadRequest("KEY_INCOMPLETE", "ki and keyid come together or not at all", "keyid")
    if order.ki is not None and order.keyid is not None:
        identity.CardKey(order.ki, order.keyid, order.algorithm, order.card_type)


def refusal_of(error: msgspec.ValidationError) -> Refusal:
    """msgspec's message turned into a field path and a sentence, without the offending value."""
    message = str(error)
    found = _PATH.search(message)
    path = found[1] if found else ""
    text = message[: found.start()] if found else message
    missing = re.search(r"missing required field `([^`]+)`", text)
    unknown = re.search(r"unknown field `([^`]+)`", text)
    if missing:
        return BadRequest("FIELD_MISSING", "this field is mandatory", _join(path, missing[1]))
    if unknown:
        return BadRequest("FIELD_UNKNOWN", "no such field for this kind", _join(path, unknown[1]))
    if text.startswith("Invalid value") and path == "type":
        return BadRequest("KIND_UNKNOWN", "no such kind of order (docs/api.md)", "type")
    if text.startswith("Invalid enum value"):
        return BadRequest("FIELD_INVALID", "not one of the values this field takes", path)
    form = re.search(r"matching regex '\\\\A(.+)\\\\Z'", text)
    if form:
        said = form[1].replace(r"\\", "\\")
        return BadRequest("FIELD_INVALID", f"not text of the form {said}", path)
    return BadRequest("FIELD_INVALID", text, path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
