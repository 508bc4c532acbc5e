"""What a source asks to be reserved."""

from dataclasses import dataclass

from hlrd.domain.identity import MSISDN


@dataclass(frozen=True, slots=True)
class Asked:
    """`count` numbers drawn at random, or random ones of a grade, or these very `numbers`."""

    source: str
    key: str  #: unique per source
    content_hash: bytes  #: tells a repeat from another request under the same key
    operator_id: str
    pool: str
    province: str
    digits: int
    count: int
    ttl_s: int
    hlr: str | None = None
    grade: str | None = None
    numbers: tuple[MSISDN, ...] = ()
    with_cards: bool = False
    lot: str | None = None  #: that the cards come from
    is_partial: bool = False  #: fewer are better than none
