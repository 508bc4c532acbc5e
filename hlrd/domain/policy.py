"""What a site decides where the rules of the business leave the choice."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Policy:
    takes_voluntary_stop_in_arrears: bool = True
    ec_unknown: Literal["accept", "wait", "refuse"] = "accept"
    """Members of an enterprise that hlrd was never told of."""

    ec_not_ready: Literal["wait", "refuse"] = "wait"
    """Members of one that has no product of their class yet."""


USUAL_POLICY: Final = Policy()
