"""What may be published, and what users are offered of it."""

from collections.abc import Mapping
from typing import Any

import pytest

from hlrd import limits
from hlrd.domain.errors import BadRequest, Refusal
from hlrd.domain.lifecycle import ProductState
from hlrd.domain.product import Product, ProductService, Relation, Scripts, ServiceKind
from hlrd.domain.publication import Products, choose, refuse_faulty
from hlrd.domain.script import Script, ScriptError
from tests.domain.products import a_content, a_function, a_product, an_apn, published, scripts

P1, P2 = a_product("P", a_function()), a_product("P", a_function(), version=2)


def takes_all(script: Script) -> None:
    pass


def no_semicolon(script: Script) -> None:
    """A dialect that ends its commands by one."""
    if ";" in script.text:
        raise ScriptError(script.text.index(";") + 1, "a second command")


CHECKS = {"mml": takes_all, "cai": no_semicolon}


def refused(product: Product) -> Refusal:
    with pytest.raises(BadRequest) as refusal:
        refuse_faulty(product, CHECKS)
    return refusal.value


def code_of(products: Products, product: Product) -> str | None:
    try:
        products.refuse_publication(product)
    except Refusal as refusal:
        return refusal.code
    return None


# Checking.


def test_a_sound_product_is_taken() -> None:
    refuse_faulty(a_product("P", a_function(), an_apn("a", "b"), a_content()), CHECKS)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("ADD X:A={imsi},B={qos}", "add", "column 18: placeholder {qos}"),
        ("ADD X;ADD Y", "add", "column 6: a second command"),
        ("ADD {", "add", "column 5: a brace"),
    ],
)
def test_a_bad_script_is_refused_with_the_exact_place(text: str, where: str, said: str) -> None:
    bad = a_function("VPN", scripts=[scripts("VPN"), Scripts("cai", text, "DEL X")])

    refusal = refused(a_product("P", a_function(), bad))

    assert refusal.code == "SCRIPT_INVALID"
    assert refusal.field == f"services[1].scripts[1].{where}"
    assert refusal.detail.startswith(f"service VPN, dialect cai, {said}")


def test_every_script_of_a_service_is_checked() -> None:
    for place, field in enumerate(("add", "remove", "query", "shows")):
        texts = ["ADD {imsi}"] * 4
        texts[place] = "ADD {other}"

        refusal = refused(a_product("P", a_function(scripts=[Scripts("mml", *texts)])))

        assert refusal.field == f"services[0].scripts[0].{field}"


@pytest.mark.parametrize(
    ("service", "field"),
    [
        (a_function(scripts=[]), "scripts"),
        (ProductService("V", ServiceKind.CONTENT, scripts=[scripts("V")]), "scripts"),
        (a_function(scripts=[scripts("A"), scripts("A")]), "scripts[1].dialect"),
        (a_function(scripts=[scripts("A", dialect="morse")]), "scripts[0].dialect"),
        (a_function(scripts=[scripts("A", query="LST A")]), "scripts[0]"),
        (a_function(parameters={"imsi": ["1"]}), "parameters.imsi"),
        (a_function(parameters={"qos": ["1", "1"]}), "parameters.qos"),
        (a_function(parameters={"apn": ["a_b"]}), "parameters.apn"),
    ],
)
def test_what_contradicts_itself_is_refused(service: ProductService, field: str) -> None:
    refusal = refused(a_product("P", service))

    assert (refusal.code, refusal.field) == ("PRODUCT_INVALID", f"services[0].{field}")


def test_a_service_comes_once() -> None:
    assert refused(a_product("P", a_function(), a_function())).field == "services[1]"


# Versions.


def test_a_version_is_staged_until_its_targets_know_it() -> None:
    products = Products()
    products.stage(P1)

    with pytest.raises(Refusal) as unnamed:
        products.offered("P", None)
    with pytest.raises(Refusal) as named:
        products.offered("P", 1)
    products.activate("P", 1)

    assert unnamed.value.code == named.value.code == "PRODUCT_NOT_ACTIVE"
    assert products.offered("P", None) == products.offered("P", 1) == P1


def test_a_later_version_retires_the_one_before_and_users_keep_theirs() -> None:
    products = published(P1, P2)

    with pytest.raises(Refusal) as refusal:
        products.offered("P", 1)

    assert refusal.value.code == "PRODUCT_NOT_ACTIVE"
    assert products.offered("P", None) == P2
    assert products.get("P", 1) == P1
    assert {one.product.version: one.state for one in products} == {
        1: ProductState.RETIRED,
        2: ProductState.ACTIVE,
    }


@pytest.mark.parametrize("version", [None, 1])
def test_a_product_that_never_was_is_unknown(version: int | None) -> None:
    with pytest.raises(Refusal) as refusal:
        published(P1).offered("Q", version)

    assert (refusal.value.code, refusal.value.status) == ("PRODUCT_UNKNOWN", 404)


def test_the_same_version_again_is_taken_and_other_content_is_not() -> None:
    other = a_product("P", a_function("VPN"))
    staged = Products()
    staged.stage(P1)

    for products in (staged, published(P1)):
        assert code_of(products, a_product("P", a_function())) is None
        assert code_of(products, other) == "PRODUCT_VERSION_TAKEN"
    assert code_of(published(P2), P1) == "PRODUCT_VERSION_OLD"
    assert code_of(published(P1, P2), P1) == "PRODUCT_VERSION_OLD"


def test_a_version_that_stayed_staged_is_too_old_once_a_later_one_is_active() -> None:
    products = Products()
    products.stage(P1)
    products.stage(P2)
    products.activate("P", 2)

    assert code_of(products, P1) == "PRODUCT_VERSION_OLD"


def test_the_number_of_versions_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PRODUCT_VERSIONS_MAX", 1)
    products = published(P1)

    assert code_of(products, P2) == "PRODUCTS_FULL"
    assert code_of(products, P1) is None


# Choosing.


@pytest.mark.parametrize(
    ("services", "given", "wanted"),
    [
        ([a_function()], {}, {}),
        ([an_apn("a")], {}, {"apn": "a"}),
        ([an_apn("a", "b")], {"apn": "b"}, {"apn": "b"}),
        ([an_apn()], {"apn": "any.apn"}, {"apn": "any.apn"}),
        ([an_apn("a", "b"), a_function(parameters={"apn": ["b"]})], {}, {"apn": "b"}),
        ([an_apn("a")], {"apn": "b"}, "ATTRIBUTE_INVALID"),
        ([an_apn("a", "b")], {}, "ATTRIBUTE_MISSING"),
        ([an_apn()], {}, "ATTRIBUTE_MISSING"),
        ([an_apn()], {"apn": "a_b"}, "ATTRIBUTE_INVALID"),
        ([an_apn("a"), a_function(parameters={"apn": ["b"]})], {}, "ATTRIBUTE_MISSING"),
        ([a_function()], {"apn": "a"}, "ATTRIBUTE_UNKNOWN"),
        ([a_function()], {"imsi": "1"}, "ATTRIBUTE_UNKNOWN"),
    ],
)
def test_an_order_chooses_what_is_not_fixed_and_nothing_else(
    services: list[Any], given: dict[str, str], wanted: Mapping[str, str] | str
) -> None:
    product = a_product("P", *services)
    if isinstance(wanted, str):
        with pytest.raises(BadRequest) as refusal:
            choose(product, given)
        assert refusal.value.code == wanted
    else:
        assert choose(product, given) == wanted


def test_a_relation_is_known_by_provider_and_service() -> None:
    assert a_content().relation == Relation("900001", "VIDEO01")
