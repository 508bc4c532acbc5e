"""Products through the engine: published, offered, had, counted, and lost again."""

from typing import Any

import pytest
from msgspec import structs

from hlrd.domain import orders, trail
from hlrd.domain.lifecycle import ProductState
from hlrd.domain.operation import Operation
from hlrd.domain.orders import ProductPublish, ProductSubscribe, ProductUnsubscribe
from hlrd.domain.outcome import Outcome, Verdict
from hlrd.domain.product import Product
from hlrd.domain.script import Script, ScriptError
from hlrd.domain.suspension import Level, Reason
from tests.domain.products import a_content, a_function, a_manual, a_product, an_apn, held
from tests.engine.stage import FIRST_ID, FakeNE, Stage, refusal, user_of

NO = Outcome(Verdict.PERMANENT, "9015", "refused")
NUMBER = "1064700000001"

A = a_product("A", a_function("GPRS"), a_content("VIDEO", "V1"))
B = a_product("B", a_function("GPRS"), a_content("NEWS", "N1"))
A2 = a_product("A", a_function("VPN"), version=2)
EVERYWHERE = a_product(
    "E", a_function("GPRS"), a_content(), a_manual(), platforms=("platform",)
)  # fmt: skip


class ProductStage(Stage):
    """With one user, who is active."""

    def __init__(self, *active: Product, **changes: Any) -> None:
        super().__init__(**changes)
        self.users["7"] = user_of(1)
        for product in active:
            self.products.stage(product)
            self.products.activate(product.id, product.version)

    def publish(self, product: Product, **changes: Any) -> ProductPublish:
        header = self.header(**changes)
        del header["user_id"]
        return ProductPublish(
            **header,
            product=product.id,
            product_version=product.version,
            name=product.name,
            services=list(product.services),
            platforms=list(product.platforms),
        )

    def subscribe(self, product: str, **changes: Any) -> ProductSubscribe:
        return ProductSubscribe(**self.header(), msisdn=NUMBER, product=product, **changes)

    def unsubscribe(self, product: str) -> ProductUnsubscribe:
        return ProductUnsubscribe(**self.header(), msisdn=NUMBER, product=product)

    @property
    def busy(self) -> list[FakeNE]:
        return [ne for ne in (self.hlr, self.dsmp, self.platform, self.eoms) if ne.sent]

    def run(self, fails: str = "") -> list[str]:
        """Answer everything in turn, what is named `fails` by a refusal; the commands as sent."""
        seen: list[str] = []
        while self.busy:
            ne = self.busy[0]
            task = ne.sent[0].task
            seen.append(f"{task.operation} {task.details.service}".strip())
            self.reply(NO if seen[-1] == fails else Verdict.DONE, ne=ne)
        self.close()
        return seen

    def have(self, *products: Product) -> None:
        self.users["7"] = structs.replace(user_of(1), products=tuple(map(held, products)))


# Publishing.


def test_a_publication_is_staged_with_its_acceptance_and_active_with_its_close() -> None:
    stage = ProductStage()
    answers = stage.submit(stage.publish(A))
    stage.resolve()
    (record,) = stage.journal.accepts

    assert not answers
    assert stage.products.find("A", 1) is None, "not durable yet"
    stage.accept()
    staged = stage.products.find("A", 1)
    commands = stage.run()

    assert (record.user_id, record.product) == ("product:A", A)
    assert staged is not None
    assert staged.state is ProductState.STAGED
    assert commands == ["publishProduct VIDEO"]
    assert stage.products.active("A") == A
    (closing,) = stage.journal.durable
    assert (closing.activated, closing.user, closing.products) == (A, None, None)
    (receipt,) = stage.receipts()
    assert (receipt["product"], receipt["product_version"]) == ("A", 1)
    assert "user_id" not in receipt
    assert "effective_level" not in receipt


def test_what_a_target_refuses_stays_staged_until_it_is_published_again() -> None:
    """F01: no command reaches the HLR before every target knows the product."""
    stage = ProductStage()
    stage.take(stage.publish(A))
    assert stage.run(fails="publishProduct VIDEO") == ["publishProduct VIDEO"]

    (receipt,) = stage.receipts()
    assert (receipt["result"], receipt["ne"], receipt["ne_code"]) == ("failed", "dsmp", "9015")
    answers = stage.submit(stage.subscribe("A"))
    stage.resolve()
    assert refusal(answers) == "PRODUCT_NOT_ACTIVE"
    assert not stage.busy

    stage.take(stage.publish(A))
    stage.run()
    stage.take(stage.subscribe("A"))
    assert stage.run() == ["addFunction GPRS", "openRelation VIDEO"]


def test_the_same_version_again_costs_no_command_and_other_content_is_refused() -> None:
    stage = ProductStage(A)

    stage.take(stage.publish(A))
    assert stage.run() == []
    other = stage.submit(stage.publish(a_product("A", a_function("VPN"))))
    stage.resolve()

    assert stage.receipts()[0]["marks"] == ["NO_CHANGE"]
    assert refusal(other) == "PRODUCT_VERSION_TAKEN"


def test_two_contents_under_one_version_that_come_together_are_told_apart() -> None:
    stage = ProductStage()

    answers = stage.submit(stage.publish(A), stage.publish(a_product("A", a_function("VPN"))))
    stage.resolve()
    stage.accept()

    codes = [answer.refusal.code if answer.refusal else "" for answer in answers]
    assert codes == ["", "PRODUCT_VERSION_TAKEN"]


def test_publications_of_one_product_run_in_order_and_those_of_others_beside() -> None:
    stage = ProductStage()
    later = a_product("A", a_content("VIDEO", "V1"), version=2)
    stage.take(stage.publish(A), stage.publish(later), stage.publish(B))

    first = sorted(command.task.details.product for command in stage.dsmp.sent)
    stage.run()
    second = stage.run()

    assert first == ["A", "B"]
    assert second == ["publishProduct VIDEO"]
    assert stage.products.active("A") == later


def test_a_version_behind_a_later_one_fails_without_a_command() -> None:
    stage = ProductStage()
    later = a_product("A", a_function("GPRS"), version=2)

    stage.take(stage.publish(later), stage.publish(A))
    stage.close()
    stage.close()

    assert [receipt.get("code") for receipt in stage.receipts()] == [None, "PRODUCT_VERSION_OLD"]
    assert stage.products.active("A") == later


def test_a_script_is_checked_by_its_dialect_before_anything_is_sent() -> None:
    def one_command(script: Script) -> None:
        if ";" in script.text:
            raise ScriptError(script.text.index(";") + 1, "a second command")

    stage = ProductStage(script_checks={"mml": one_command})
    scripts = [structs.replace(a_function().scripts[0], remove="RMV A;RMV B")]

    answers = stage.submit(stage.publish(a_product("A", a_function(scripts=scripts))))
    stage.resolve()

    assert refusal(answers) == "SCRIPT_INVALID"
    (answer,) = answers
    assert answer.refusal is not None
    assert answer.refusal.field == "services[0].scripts[0].remove"
    assert "service GPRS, dialect mml, column 6" in answer.refusal.detail
    assert not stage.journal.accepts


@pytest.mark.parametrize(
    ("product", "code", "field"),
    [
        (a_product("A", a_content(), platforms=("hlr1",)), "PLATFORM_UNKNOWN", "platforms[0]"),
        (
            a_product("A", a_content(), platforms=("platform", "platform")),
            "PRODUCT_INVALID",
            "platforms[1]",
        ),
    ],
)
def test_a_target_that_takes_no_products_is_refused(
    product: Product, code: str, field: str
) -> None:
    stage = ProductStage()

    answers = stage.submit(stage.publish(product))
    stage.resolve()

    assert refusal(answers) == code
    assert answers[0].refusal is not None
    assert answers[0].refusal.field == field


# Subscribing.


def test_a_subscription_goes_to_every_system_and_is_the_users_when_it_is_durable() -> None:
    stage = ProductStage(EVERYWHERE)
    stage.take(stage.subscribe("E"))

    commands = stage.run()

    assert commands == [
        "addFunction GPRS",
        "openRelation VIDEO",
        "subscribeMember",
        "openSheet IP",
    ]
    (closing,) = stage.journal.durable
    assert closing.products == (held(EVERYWHERE),)
    assert closing.user is not None
    assert closing.user.products == (held(EVERYWHERE),)
    (receipt,) = stage.receipts()
    assert (receipt["product"], receipt["product_version"]) == ("E", 1)


def test_a_refusing_platform_leaves_no_relation_and_no_function() -> None:
    """F08: else the user is charged for nothing."""
    stage = ProductStage(EVERYWHERE)
    stage.take(stage.subscribe("E"))

    commands = stage.run(fails="subscribeMember")

    assert commands[-2:] == ["closeRelation VIDEO", "removeFunction GPRS"]
    (closing,) = stage.journal.durable
    assert (closing.state, closing.products, closing.user) == ("failed", None, None)


def test_a_refusing_platform_takes_no_function_that_another_product_needs() -> None:
    stage = ProductStage(A, EVERYWHERE)
    stage.have(A)
    stage.take(stage.subscribe("E"))

    commands = stage.run(fails="subscribeMember")

    assert commands == ["openRelation VIDEO", "subscribeMember", "closeRelation VIDEO"]


def test_a_shared_function_goes_with_the_last_product_that_needs_it() -> None:
    """F08: A and B both need GPRS."""
    stage = ProductStage(A, B)
    seen = []
    for order in (
        stage.subscribe("A"),
        stage.subscribe("B"),
        stage.unsubscribe("A"),
        stage.unsubscribe("B"),
    ):
        stage.take(order)
        seen.append(stage.run())

    assert seen == [
        ["addFunction GPRS", "openRelation VIDEO"],
        ["openRelation NEWS"],
        ["closeRelation VIDEO"],
        ["closeRelation NEWS", "removeFunction GPRS"],
    ]
    assert stage.users["7"].products == ()


def test_orders_that_wait_for_each_other_count_what_the_earlier_ones_left() -> None:
    stage = ProductStage(A, B)
    stage.take(stage.subscribe("A"), stage.subscribe("B"), stage.unsubscribe("A"))

    seen = [stage.run() for _ in range(3)]

    assert seen == [
        ["addFunction GPRS", "openRelation VIDEO"],
        ["openRelation NEWS"],
        ["closeRelation VIDEO"],
    ]


def test_an_order_in_flight_ends_with_the_version_it_began_with() -> None:
    """F01: v2 becomes active while v1 is being switched on."""
    stage = ProductStage(A)
    stage.take(stage.subscribe("A"))
    stage.take(stage.publish(A2))
    stage.close()
    assert stage.products.active("A") == A2

    commands = stage.run()
    late = stage.submit(stage.subscribe("A", product_version=1))
    stage.resolve()

    assert commands == ["addFunction GPRS", "openRelation VIDEO"]
    assert stage.users["7"].products == (held(A),)
    assert refusal(late) == "PRODUCT_NOT_ACTIVE"
    stage.take(stage.unsubscribe("A"))
    assert stage.run() == ["closeRelation VIDEO", "removeFunction GPRS"]


def test_a_parked_order_comes_back_with_the_version_it_began_with() -> None:
    stage = ProductStage(A)
    posted = stage.subscribe("A")
    stage.submit(posted)
    stage.resolve()

    (record,) = stage.journal.accepts

    stored = orders.decode_stored(record.payload)
    assert isinstance(stored, ProductSubscribe)
    assert stored.product_version == 1
    unpinned = structs.replace(posted, product_version=None)
    assert record.content_hash == orders.content_hash(unpinned), "as it was posted"


def test_a_restart_reads_back_what_a_subscription_may_have_sent() -> None:
    stage = ProductStage(A)
    stage.submit(stage.subscribe("A"))
    stage.resolve()
    (record,) = stage.journal.accepts
    again = ProductStage(A, order_ids=iter(range(5_000, 6_000)), first_own_id=5_000)

    again.engine.recover([(record.id, record.user_id, record.priority, False, record.kind)])
    again.unpark([record])
    again.wait(11)

    assert [command.intent for command in again.hlr.sent] == ["readBack"]
    assert again.hlr.sent[0].task.details.script == "ADD GPRS:I={imsi}"


def test_a_publication_that_a_restart_found_open_goes_on() -> None:
    stage = ProductStage()
    stage.submit(stage.publish(A))
    stage.resolve()
    (record,) = stage.journal.accepts
    again = ProductStage(order_ids=iter(range(5_000, 6_000)), first_own_id=5_000)
    again.products.stage(A)

    again.engine.recover([(record.id, record.user_id, record.priority, False, record.kind)])
    again.unpark([record])
    again.wait(11)
    again.run()

    assert again.products.active("A") == A


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"product": "Q"}, "PRODUCT_UNKNOWN"),
        ({"product": "A", "product_version": 9}, "PRODUCT_NOT_ACTIVE"),
        ({"product": "A", "attributes": {"qos": "1"}}, "ATTRIBUTE_UNKNOWN"),
        ({"product": "P"}, "ATTRIBUTE_MISSING"),
        ({"product": "P", "attributes": {"apn": "c"}}, "ATTRIBUTE_INVALID"),
    ],
)
def test_an_order_that_fits_no_offer_is_refused_before_anything_is_sent(
    order: dict[str, Any], code: str
) -> None:
    stage = ProductStage(A, a_product("P", an_apn("a", "b")))
    stage.products.stage(a_product("A", a_function(), version=9))

    answers = stage.submit(stage.subscribe(**order))
    stage.resolve()

    assert refusal(answers) == code
    assert not stage.journal.accepts
    assert not stage.busy


def test_a_user_who_cannot_have_it_is_told_at_once_or_when_the_turn_comes() -> None:
    stage = ProductStage(A)
    stage.users["7"] = user_of(1, {Reason.ARREARS: Level.TWO_WAY})
    at_once = stage.submit(stage.subscribe("A"))
    stage.resolve()
    assert refusal(at_once) == "LINE_STOPPED"

    stage = ProductStage(A)
    stage.take(stage.suspend(), stage.subscribe("A"))
    stage.run()
    stage.close()

    assert [receipt.get("code") for receipt in stage.receipts()] == [None, "LINE_STOPPED"]


def test_an_unsubscription_only_goes_forward() -> None:
    stage = ProductStage(EVERYWHERE)
    stage.have(EVERYWHERE)
    stage.take(stage.unsubscribe("E"))

    stage.run(fails="unsubscribeMember")

    (closing,) = stage.journal.durable
    assert (closing.state, closing.is_final, closing.products) == ("fallout", False, None)


def test_a_termination_leaves_the_user_no_product() -> None:
    stage = ProductStage(A)
    stage.have(A)
    stage.take(stage.terminate())

    commands = stage.run()

    assert commands == ["closeRelation VIDEO", "closeRelation", "removeSubscriber", "removeKey"]
    assert stage.journal.durable[0].products == ()


def test_a_relation_that_is_found_paused_is_resumed_itself_and_not_the_base_one() -> None:
    stage = ProductStage(A)
    stage.take(stage.subscribe("A"))
    stage.reply(ne=stage.hlr)

    stage.reply(Outcome(Verdict.PREREQUISITE, then=Operation.RESUME_RELATION), ne=stage.dsmp)

    (command,) = stage.dsmp.sent
    assert command.task.operation is Operation.RESUME_RELATION
    assert command.task.details.attributes["sp_service_id"] == "V1"


def test_the_trail_keeps_what_a_command_is_written_from() -> None:
    stage = ProductStage(A)
    stage.take(stage.subscribe("A"))
    stage.run()

    first, second = trail.decode(stage.journal.durable[0].trail)

    assert first.details.script == "ADD GPRS:I={imsi}"
    assert first.shown()["service"] == "GPRS"
    assert second.details.attributes == {"sp_id": "900001", "sp_service_id": "V1"}


def test_a_repeat_of_a_publication_is_answered_as_it_was() -> None:
    stage = ProductStage()
    posted = stage.publish(A)
    (answer,) = stage.take(posted)
    (again,) = stage.submit(structs.replace(posted))

    assert answer.id == again.id == FIRST_ID
    assert again.is_repeat
