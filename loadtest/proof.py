"""The proof at the end of a run: what upstream was told, the journal, the HLRs and the DSMP all say
the same, and no number or card was used twice or lost.

Pure: `Evidence` in, checks out. `loadtest.evidence` gathers it from the running system, each part
from its own mouth.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

_EXAMPLES_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Bound:
    """Number and card of one user, as one part of the system knows them."""

    msisdn: str
    imsi: str
    iccid: str = ""  #: an HLR does not know it
    hlr: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    posted: Sequence[str]  #: order ids
    accepted: AbstractSet[str]  #: order ids answered 202
    receipts: Mapping[str, Bound | None]  #: by order id, final ones; None: not succeeded
    bindings: Sequence[Bound]  #: of the journal
    subscribers: Sequence[Bound]  #: of every HLR, with its name
    keys: Sequence[str]  #: IMSIs that the HLRs hold a card key for
    relations: Sequence[str]  #: MSISDNs with an active order relation at the DSMP
    effects_repeated: Sequence[str]  #: what an NE was made to do more than once
    number_home: Mapping[str, str]  #: HLR by MSISDN, as its range says; of the bound ones
    card_home: Mapping[str, str]  #: HLR by ICCID, as its lot says; of the bound ones
    numbers: Mapping[str, int] = field(default_factory=dict)  #: by state
    numbers_imported: int = 0
    cards: Mapping[str, int] = field(default_factory=dict)  #: by state
    cards_imported: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    what: str
    found: int
    wanted: int
    examples: Sequence[str] = ()  #: a few of what is wrong, for a person to start from

    @property
    def holds(self) -> bool:
        return self.found == self.wanted


def prove(evidence: Evidence) -> list[Check]:
    """Every check; the proof is that all of them hold."""
    return [*_counts(evidence), *_agreement(evidence), *_duplicates(evidence), *_stock(evidence)]


def _counts(evidence: Evidence) -> list[Check]:
    wanted = len(evidence.accepted)
    succeeded = [order for order, bound in evidence.receipts.items() if bound is not None]
    return [
        _listed("orders accepted", evidence.posted, evidence.accepted),
        Check("final receipts", len(evidence.receipts), wanted),
        Check("  of them succeeded", len(succeeded), wanted, _missing(evidence, succeeded)),
        Check("bindings in the journal", len(evidence.bindings), wanted),
        Check("subscribers on the HLRs", len(evidence.subscribers), wanted),
        Check("card keys on the HLRs", len(evidence.keys), wanted),
        Check("order relations at the DSMP", len(evidence.relations), wanted),
    ]


def _listed(what: str, posted: Sequence[str], accepted: AbstractSet[str]) -> Check:
    lost = [order for order in posted if order not in accepted]
    return Check(what, len(accepted), len(posted), lost[:_EXAMPLES_MAX])


def _missing(evidence: Evidence, succeeded: Iterable[str]) -> list[str]:
    return sorted(evidence.accepted - set(succeeded))[:_EXAMPLES_MAX]


def _agreement(evidence: Evidence) -> list[Check]:
    """The same users everywhere, pair by pair, and everything at its home."""
    told = {(bound.msisdn, bound.imsi) for bound in evidence.receipts.values() if bound}
    bound = {(binding.msisdn, binding.imsi) for binding in evidence.bindings}
    live = {(subscriber.msisdn, subscriber.imsi) for subscriber in evidence.subscribers}
    return [
        _none("receipts that the journal contradicts", told ^ bound),
        _none("subscribers that the journal contradicts", live ^ bound),
        _none("card keys without their subscriber", set(evidence.keys) ^ _imsis(live)),
        _none("relations without their user", set(evidence.relations) ^ _msisdns(bound)),
        _none("numbers or cards away from home", _strays(evidence)),
    ]


def _strays(evidence: Evidence) -> set[str]:
    """A number's HLR is its card's HLR is the HLR that has the subscriber."""
    live = {subscriber.msisdn: subscriber.hlr for subscriber in evidence.subscribers}
    return {
        binding.msisdn
        for binding in evidence.bindings
        if not (
            binding.hlr
            == evidence.number_home.get(binding.msisdn)
            == evidence.card_home.get(binding.iccid)
            == live.get(binding.msisdn)
        )
    }


def _duplicates(evidence: Evidence) -> list[Check]:
    """Over all HLRs together, and over what upstream was told."""
    told = [bound for bound in evidence.receipts.values() if bound]
    return [
        _none(
            "numbers given twice",
            _twice(bound.msisdn for bound in told)
            | _twice(bound.msisdn for bound in evidence.subscribers),
        ),
        _none(
            "cards given twice",
            _twice(bound.iccid for bound in told)
            | _twice(bound.imsi for bound in told)
            | _twice(bound.imsi for bound in evidence.subscribers),
        ),
        _none("commands that took effect twice", evidence.effects_repeated),
    ]


def _stock(evidence: Evidence) -> list[Check]:
    """Every imported number and card is in exactly one state, and what is in use is bound."""
    bound = len(evidence.bindings)
    return [
        Check(
            "numbers leaked",
            abs(evidence.numbers_imported - sum(evidence.numbers.values()))
            + abs(evidence.numbers.get("inUse", 0) - bound),
            0,
            [f"{state}: {count}" for state, count in evidence.numbers.items()],
        ),
        Check(
            "cards leaked",
            abs(evidence.cards_imported - sum(evidence.cards.values()))
            + abs(evidence.cards.get("inUse", 0) - bound),
            0,
            [f"{state}: {count}" for state, count in evidence.cards.items()],
        ),
    ]


def _none(what: str, wrong: Iterable[object]) -> Check:
    examples = sorted(str(one) for one in wrong)
    return Check(what, len(examples), 0, examples[:_EXAMPLES_MAX])


def _twice(values: Iterable[str]) -> set[str]:
    return {value for value, count in Counter(values).items() if count > 1}


def _imsis(pairs: Iterable[tuple[str, str]]) -> set[str]:
    return {imsi for _, imsi in pairs}


def _msisdns(pairs: Iterable[tuple[str, str]]) -> set[str]:
    return {msisdn for msisdn, _ in pairs}
