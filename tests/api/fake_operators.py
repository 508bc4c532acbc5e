"""Operators whose tokens say their names, and who may what the test says."""

from dataclasses import dataclass, field

from hlrd.codec.token import Cause, TokenInvalid
from hlrd.domain.errors import Unavailable
from hlrd.domain.rights import Operator


def token_of(name: str) -> str:
    return f"operator.{name}.signed"


@dataclass
class FakeOperators:
    rights: dict[str, set[str]] = field(default_factory=dict)
    signed: dict[str, str] = field(default_factory=dict)  #: other tokens, and whose they are
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    is_away: bool = False  #: who knows what they may
    wrong: Cause | None = None  #: with every token

    def operator(self, token: str) -> Operator | None:
        if token in self.signed:
            return Operator(self.signed[token])
        if not token.startswith("operator."):
            return None
        if self.wrong is not None:
            raise TokenInvalid(self.wrong)
        return Operator(token.split(".")[1])

    async def may(self, operator: str, right: str, subject: str) -> bool:
        self.asked.append((operator, right, subject))
        if self.is_away:
            raise Unavailable("AUTHORIZATION_UNAVAILABLE", "nobody answers", 5.0)
        return right in self.rights.get(operator, set())
