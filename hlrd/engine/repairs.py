"""Repairs of a user's HLR record: may they be done, and with which services. Pure."""

from collections.abc import Sequence

from hlrd.domain.audit import is_same_person
from hlrd.domain.errors import BadRequest, Conflict
from hlrd.domain.lifecycle import NumberState
from hlrd.domain.orders import Opening, Service
from hlrd.domain.orders.repair import NERepair, Subject
from hlrd.domain.user import User
from hlrd.engine.book import OpenOrder
from hlrd.ports import Facts


def check(
    order: NERepair, user: User | None, facts: Facts, ahead: Sequence[OpenOrder] = ()
) -> None:
    """Raises the Refusal that staff is told. What `order` leaves open is fixed by what is known.
    `ahead`: the user's open orders in memory."""
    if user is None or user.binding is None:
        _check_removal(order, facts)
        return
    if user.binding.msisdn != order.msisdn:
        raise Conflict("USER_NUMBER_MISMATCH", "the user has another number", "msisdn")
    if order.imsi is not None or order.hlr is not None:
        text = "imsi and hlr are for a record that nobody is meant to have; this user has one"
        raise BadRequest("REPAIR_UNCLEAR", text, "imsi")
    if Subject.EXISTENCE in order.check and order.services is None:
        services = _opened_with(ahead) or facts.opened_with
        if services is None:
            text = "hlrd does not know what the user was opened with; name it"
            raise BadRequest("SERVICES_MISSING", text, "services")
        order.services = list(services)


def _opened_with(ahead: Sequence[OpenOrder]) -> Sequence[Service] | None:
    """By an opening that is still on its way."""
    return next((one.order.services for one in ahead if isinstance(one.order, Opening)), None)


def _check_removal(order: NERepair, facts: Facts) -> None:
    if order.imsi is None or order.hlr is None:
        text = "the user has no number here: to remove a record name its imsi and hlr"
        raise BadRequest("REPAIR_UNCLEAR", text, "imsi")
    if order.reasons is not None:
        raise Conflict("USER_TERMINATED", "a user without a number has no state", "reasons")
    _check_approval(order)
    if facts.number is not None and facts.number.state is NumberState.IN_USE:
        raise Conflict("USER_NUMBER_MISMATCH", "another user has the number", "msisdn")
    if not facts.imsi_is_free:
        text = "another user has the card, or it is in stock: scrap it first"
        raise Conflict("IMSI_IN_USE", text, "imsi")


def _check_approval(order: NERepair) -> None:
    if order.approved_by is None:
        text = "a removal at the HLR is approved by a second person"
        raise BadRequest("APPROVAL_MISSING", text, "approved_by")
    if is_same_person(order.approved_by, order.operator_id):
        text = "the second person is not the one who asks"
        raise BadRequest("APPROVAL_MISSING", text, "approved_by")
