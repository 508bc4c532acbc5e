"""What the BBOSS tells other provinces of what headquarters has confirmed: a partner (配合省) which
products it may sell, and the lead (主办省) which members its partners have. Pure.
"""

from collections.abc import Collection, Iterator
from typing import Final

from msgspec import Struct

from adapters.json_platform import DELETE, PUT
from loadtest.forward import Passed
from loadtest.relay.records import Content, Record, Records
from loadtest.relay.resources import MEMBER, SUBSCRIPTION

PARTNERS: Final = "partner_provinces"
LEAD: Final = "lead_province"


class Publication(Struct, frozen=True, omit_defaults=True):
    """What a province must still be told of one subscription, or of one member."""

    province: str
    resource: str
    transaction: str
    content: Content | None = None  #: None: that it is over

    def passed(self) -> Passed:
        method = DELETE if self.content is None else PUT
        return Passed(method, self.resource, self.content, self.transaction)


def publications(record: Record, records: Records, leads: Collection[str]) -> list[Publication]:
    """Of a change that was confirmed just now: `record` as it was on its way. `leads`: the
    provinces that can be told of members."""
    if record.place.kind is SUBSCRIPTION:
        return list(_of_subscription(record))
    if record.place.kind is MEMBER and not record.is_leaving:
        return list(_of_member(record, records, leads))
    return []


def _of_subscription(record: Record) -> Iterator[Publication]:
    content = None if record.is_leaving else record.content
    told = record.content.get(PARTNERS, ())
    for province in told:
        yield Publication(province, record.resource, record.transaction, content)
    for province in (record.held or {}).get(PARTNERS, ()):
        if province not in told:
            yield Publication(province, record.resource, record.transaction)


def _of_member(record: Record, records: Records, leads: Collection[str]) -> Iterator[Publication]:
    """A member of its own province the lead knows by itself."""
    ec: str = record.content["ec_code"]
    province: str = record.content["province"]
    standing = [each.standing or {} for each in records.subscriptions(ec)]
    named: set[str] = {each.get(LEAD, province) for each in standing}
    for lead in sorted(named - {province}):
        if lead in leads:
            told = {"ec_code": ec, "province": province}
            yield Publication(lead, record.resource, record.transaction, told)
