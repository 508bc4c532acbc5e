"""What the journal keeps of enterprises and their members, as `hlrd.store.groups` writes it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hlrd.domain.group import Enterprises, Membership, Standing
from hlrd.domain.identity import UserId
from hlrd.domain.product import Holding
from hlrd.domain.suspension import Level, Reason
from hlrd.ports import Closing


@dataclass(slots=True)
class GroupTables:
    subscriptions: dict[tuple[str, str], Standing] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    members: dict[UserId, Membership] = field(default_factory=dict)
    partners: dict[tuple[str, str], str] = field(default_factory=dict)

    def put(self, standing: Standing | None) -> None:
        if standing is None:
            return
        subscription = standing.subscription
        key = subscription.ec_code, subscription.product
        if standing.state is None:
            self.subscriptions.pop(key, None)
            return
        self.known.add(subscription.ec_code)
        self.subscriptions[key] = standing

    def note(self, record: Closing) -> None:
        """In the order of the statements: who leaves and joins in one is a member."""
        self.put(record.enterprise)
        if record.leaves_ec:
            self.members.pop(record.user_id, None)
        if record.joins is not None:
            self.members[record.user_id] = record.joins
        if record.partner is not None:
            self.partners[record.partner.ec_code, record.partner.msisdn] = record.partner.province

    def load(self, stops: Iterable[tuple[str, Reason, Level]] = ()) -> Enterprises:
        found = Enterprises()
        for code in self.known:
            found.meet(code)
        for standing in self.subscriptions.values():
            found.put(standing)
        for stop in stops:
            found.stop(*stop)
        return found

    def has_members(self, ec_code: str | None) -> bool:
        return any(one.ec_code == ec_code for one in self.members.values())

    def uses(self, asked: tuple[str, str], holdings: Iterable[tuple[Holding, ...]]) -> bool:
        """Whether a member has this product of an enterprise, or was reported with it."""
        held = any((one.ec_code, one.product) == asked for some in holdings for one in some)
        return held or any((one.ec_code, one.product) == asked for one in self.members.values())
