"""What a change of card or number holds from its acceptance to its end.

A claim is a binding of its own beside the user's. The new card, or the new number, stands in it as
it is; what the user has already stands in it with a minus in front. So the unique keys that let no
number and no card be bound twice hold for claims as they stand, at no cost for who makes none; a
user has one claim at a time; and no one takes a claim for a user's binding.
"""

from typing import Final

from msgspec.structs import replace

from hlrd.domain.identity import ICCID, IMSI, MSISDN, Binding, UserId

MINUS: Final = "-"


def claim_of(now: Binding, target: Binding) -> Binding:
    """What `target` has and `now` has not, held until `target` is bound in the place of `now`."""
    return replace(
        target,
        user_id=claimant(target.user_id),
        msisdn=MSISDN(_mirrored(now.msisdn, target.msisdn)),
        imsi=IMSI(_mirrored(now.imsi, target.imsi)),
        iccid=ICCID(_mirrored(now.iccid, target.iccid)),
    )


def target_of(claim: Binding) -> Binding:
    """What the user is bound to when the change is done."""
    return replace(
        claim,
        user_id=UserId(claim.user_id.removeprefix(MINUS)),
        msisdn=MSISDN(claim.msisdn.removeprefix(MINUS)),
        imsi=IMSI(claim.imsi.removeprefix(MINUS)),
        iccid=ICCID(claim.iccid.removeprefix(MINUS)),
    )


def number_of(claim: Binding) -> MSISDN | None:
    """The number that it holds."""
    return None if claim.msisdn.startswith(MINUS) else claim.msisdn


def card_of(claim: Binding) -> ICCID | None:
    """The card that it holds."""
    return None if claim.iccid.startswith(MINUS) else claim.iccid


def claimant(user_id: UserId) -> UserId:
    """Whom the journal knows as the owner of the user's claim."""
    return UserId(f"{MINUS}{user_id}")


def _mirrored(now: str, then: str) -> str:
    return f"{MINUS}{then}" if then == now else then
