"""Answers to JSON, at less than a microsecond each: a batch has ten thousand of them."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct, structs

from hlrd.api.problem import Problem, describe
from hlrd.domain.errors import Busy
from hlrd.ports import Answer

_ENCODER: Final = msgspec.json.Encoder()


class Line(Struct, omit_defaults=True):
    """One order's answer; what does not apply is left out."""

    order_id: str | None
    id: str = ""  #: text, since it may not fit the numbers of every JSON reader
    state: str = ""
    repeated: bool = False
    msisdn: str | None = None
    imsi: str | None = None
    iccid: str | None = None
    receipt: msgspec.Raw | None = None
    refusal: Problem | None = None


class Batch(Struct):
    accepted: int
    repeated: int
    refused: int
    answers: Sequence[Line]


def single(answer: Answer) -> bytes:
    return _ENCODER.encode(_line(answer))


def batch(answers: Sequence[Answer]) -> bytes:
    refused = sum(answer.refusal is not None for answer in answers)
    repeated = sum(answer.is_repeat and answer.refusal is None for answer in answers)
    return _ENCODER.encode(
        Batch(
            accepted=len(answers) - refused - repeated,
            repeated=repeated,
            refused=refused,
            answers=_lines(answers),
        )
    )


def ndjson(answers: Sequence[Answer]) -> bytes:
    return _ENCODER.encode_lines(_lines(answers))


class _Receipt(Struct):
    """What of a final receipt its answer repeats."""

    result: str
    msisdn: str | None = None
    imsi: str | None = None
    iccid: str | None = None


def closed(open_answer: Answer, receipt: bytes) -> Answer:
    """The same order's answer once its final receipt is there; a failed order keeps nothing."""
    end = _RECEIPT.decode(receipt)
    return structs.replace(
        open_answer,
        state=end.result,
        msisdn=end.msisdn,
        imsi=end.imsi,
        iccid=end.iccid,
        receipt=receipt,
    )


def load_refusal(answers: Sequence[Answer]) -> Busy | None:
    """The refusal of the whole batch, if none of it was taken and all of it for load."""
    worst: Busy | None = None
    for answer in answers:
        refusal = answer.refusal
        if not isinstance(refusal, Busy):
            return None
        if worst is None or refusal.retry_after_s > worst.retry_after_s:
            worst = refusal
    return worst


_RECEIPT: Final = msgspec.json.Decoder(_Receipt)


def _lines(answers: Sequence[Answer]) -> list[Line]:
    return [
        _line(answer) if answer.refusal is None else _refused(index, answer)
        for index, answer in enumerate(answers)
    ]


def _line(answer: Answer) -> Line:
    if answer.is_repeat and answer.receipt is not None:
        answer = closed(answer, answer.receipt)  # the binding may have ended since
    return Line(
        answer.order_id,
        str(answer.id),
        answer.state,
        answer.is_repeat,
        answer.msisdn,
        answer.imsi,
        answer.iccid,
        None if answer.receipt is None else msgspec.Raw(answer.receipt),
    )


def _refused(index: int, answer: Answer) -> Line:
    assert answer.refusal is not None
    problem = describe(answer.refusal.at(f"[{index}]"))
    return Line(answer.order_id, state="refused", refusal=problem)
