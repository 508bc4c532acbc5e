"""Which changes a relay and the registry refuse at once, and why. Pure."""

from collections.abc import Iterator

from adapters.json_platform import DELETE
from loadtest.jsonpeer import Refused, Work
from loadtest.relay import resources
from loadtest.relay.records import ON_ITS_WAY, Content, Record, Records
from loadtest.relay.resources import MEMBER, MEMBER_PRODUCT, SUBSCRIPTION, Place

PENDING_MAX = 100_000
"""Changes on their way at once; beyond it the system is busy."""


def check_room(records: Records) -> None:
    if records.counts[ON_ITS_WAY] >= PENDING_MAX:
        raise Refused(503, "BUSY")


def check_turn(place: Place, work: Work, records: Records) -> None:
    """A member and its products go up one after the other, as they must come about."""
    if place.kind is MEMBER_PRODUCT:
        others = [records.by_resource.get(resources.member(place.msisdn))]
    elif place.kind is MEMBER and work.method == DELETE:
        others = [*records.products(place.msisdn)]
    else:
        return
    if any(map(_is_on_its_way, others)):
        raise Refused(409, "CHANGE_PENDING")


def check_enterprise(place: Place, content: Content, records: Records) -> None:
    """What a relay can tell by itself: whether what it builds on is still on its way up."""
    if place.kind is not SUBSCRIPTION and any(
        map(_is_on_its_way, _built_on(place, content, records))
    ):
        raise Refused(409, "EC_PENDING")


def judge(place: Place, work: Work, content: Content | None, records: Records) -> None:
    """What the registry knows."""
    if content is None:
        if place.kind is SUBSCRIPTION and records.is_used(place.ec, place.product):
            raise Refused(409, "EC_HAS_MEMBERS")
    elif place.kind is MEMBER:
        _judge_member(place, content, records)
    elif place.kind is MEMBER_PRODUCT:
        _judge_product(place, content, records)


def _judge_member(place: Place, content: Content, records: Records) -> None:
    _judge_enterprise(place, content, records)
    member = _standing(records.by_resource.get(place.resource))
    if member is not None and member["user_id"] != content["user_id"]:
        raise Refused(409, "OTHER_USER")
    if records.number_of(content["imsi"]) not in (None, place.msisdn):
        raise Refused(409, "IMSI_TAKEN")


def _judge_product(place: Place, content: Content, records: Records) -> None:
    member = _standing(records.by_resource.get(resources.member(place.msisdn)))
    if member is None or member["ec_code"] != content["ec_code"]:
        raise Refused(409, "MEMBER_UNKNOWN")
    if member["user_id"] != content["user_id"]:
        raise Refused(409, "OTHER_USER")
    _judge_enterprise(place, content, records)


def _judge_enterprise(place: Place, content: Content, records: Records) -> None:
    """The enterprise has the product, or any where none is named."""
    built_on = list(_built_on(place, content, records))
    if any(each.standing is not None and not _is_on_its_way(each) for each in built_on):
        return
    if any(map(_is_on_its_way, built_on)):
        raise Refused(409, "EC_PENDING")
    has_any = any(each.standing for each in records.subscriptions(content["ec_code"]))
    raise Refused(409, "PRODUCT_NOT_SUBSCRIBED" if has_any else "EC_UNKNOWN")


def _built_on(place: Place, content: Content, records: Records) -> Iterator[Record]:
    """The subscriptions that will do."""
    product = place.product or content.get("product", "")
    for each in records.subscriptions(content["ec_code"]):
        if product in ("", each.place.product):
            yield each


def _standing(record: Record | None) -> Content | None:
    return None if record is None else record.standing


def _is_on_its_way(record: Record | None) -> bool:
    return record is not None and record.state == ON_ITS_WAY
