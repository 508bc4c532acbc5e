"""Orders that say where their receipt is to go."""

from hlrd.domain.delivery import Endpoint, Endpoints
from tests.engine.stage import Stage, refusal


def an_endpoint(name: str, source: str = "ESOP") -> Endpoint:
    return Endpoint(name, source, "https://esop.example/receipts")


def test_an_order_may_name_an_endpoint_of_its_own_source_and_its_receipt_says_so() -> None:
    stage = Stage(endpoints=Endpoints([an_endpoint("main")]))

    (answer,) = stage.take(stage.activate(reply_to="main"), source="ESOP")
    stage.finish()

    assert answer.refusal is None
    assert [receipt["reply_to"] for receipt in stage.receipts()] == ["main"]


def test_a_receipt_of_an_order_that_names_none_says_nothing_of_it() -> None:
    stage = Stage(endpoints=Endpoints([an_endpoint("main")]))
    stage.take(stage.activate(), source="ESOP")
    stage.finish()

    assert all("reply_to" not in receipt for receipt in stage.receipts())
    assert stage.receipts()


def test_an_endpoint_of_another_source_and_one_that_is_none_are_refused_alike() -> None:
    endpoints = Endpoints([an_endpoint("main", "CRM")])
    stage = Stage(endpoints=endpoints)

    for name in ("main", "other"):
        answers = stage.take(stage.activate(reply_to=name), source="ESOP")
        assert refusal(answers) == "REPLY_TO_UNKNOWN"
    assert stage.journal.accepts == []


def test_an_endpoint_can_be_named_from_its_registration_to_its_end() -> None:
    endpoints = Endpoints()
    stage = Stage(endpoints=endpoints)
    assert refusal(stage.take(stage.activate("1", reply_to="main"), source="ESOP"))

    endpoints.configure([an_endpoint("main")])
    (answer,) = stage.take(stage.activate("2", reply_to="main"), source="ESOP")
    assert answer.refusal is None

    endpoints.configure([])
    assert refusal(stage.take(stage.activate("3", reply_to="main"), source="ESOP"))
