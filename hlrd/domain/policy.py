"""What a site decides where the rules of the business leave the choice."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Policy:
    takes_voluntary_stop_in_arrears: bool = True


USUAL_POLICY: Final = Policy()
