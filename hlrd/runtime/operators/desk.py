"""Who an operator is and what he may, by the settings that hold now."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

from hlrd import limits, metrics
from hlrd.codec.token import Identity, TokenInvalid
from hlrd.domain.errors import Unavailable
from hlrd.domain.rights import READ, Operator, RoleTable
from hlrd.runtime.operators.authorizer import Authorizer, NoAnswer
from hlrd.runtime.operators.registration import Registration, Service
from hlrd.runtime.operators.sight import Sight

_RETRY_S: Final = 5.0


class OperatorDesk:
    """Build it inside a running loop, `adopt` settings, and `close` it in the end."""

    def __init__(self, *, wall: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._wall = wall
        self._authorizer = Authorizer(clock=monotonic)
        self._sight = Sight(monotonic)
        self._registration: Registration | None = None
        self._known: OrderedDict[bytes, Identity] = OrderedDict()  #: by digest of the token

    async def close(self) -> None:
        await self._authorizer.close()

    def adopt(self, registration: Registration | None) -> None:
        """From now on; None: there are no operators. Every token is checked anew."""
        self._registration = registration
        self._known.clear()
        self._sight.forget()

    def operator(self, token: str) -> Operator | None:
        """Whose token it is; None: it has not even the form of one. Raises TokenInvalid."""
        if self._registration is None or token.count(".") != 2:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        now = self._wall().timestamp()
        known = self._known.get(digest)
        if known is not None and known.expires_at > now:
            self._known.move_to_end(digest)
            return known.operator
        return self._checked(token, digest, now, self._registration).operator

    def _checked(
        self, token: str, digest: bytes, now: float, registration: Registration
    ) -> Identity:
        self._known.pop(digest, None)
        try:
            identity = registration.keys.identity(
                token, issuer=registration.issuer, audience=registration.audience, now=now
            )
        except TokenInvalid as invalid:
            metrics.OPERATOR_TOKENS_REFUSED.labels(invalid.cause).inc()
            raise
        self._known[digest] = identity
        if len(self._known) > limits.OPERATORS_KEPT_MAX:
            self._known.popitem(last=False)
        return identity

    async def may(self, operator: str, right: str, subject: str) -> bool:
        """Whether he may do that to it. Unavailable: nobody can say, so he may not now."""
        judge = self._registration.judge if self._registration is not None else None
        if judge is None:  # the settings were changed while the request was under way
            return False
        if isinstance(judge, RoleTable):
            return judge.may(operator, right)
        if right == READ:
            return await self._may_look(judge, operator, subject)
        return await self._asked(judge, operator, right, subject)

    async def _may_look(self, service: Service, operator: str, subject: str) -> bool:
        fresh = self._sight.fresh(operator)
        if fresh is not None:
            return fresh
        try:
            allowed = await self._asked(service, operator, READ, subject)
        except Unavailable:
            if self._sight.lasts(operator):
                return True
            raise
        self._sight.note(operator, allowed=allowed)
        return allowed

    async def _asked(self, service: Service, operator: str, right: str, subject: str) -> bool:
        try:
            return await self._authorizer.allows(
                service, operator=operator, right=right, subject=subject
            )
        except NoAnswer:
            text = "the authorization service does not answer, so nothing was done; try again later"
            raise Unavailable("AUTHORIZATION_UNAVAILABLE", text, _RETRY_S) from None
