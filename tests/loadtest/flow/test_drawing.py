"""A sequence as Mermaid, as a page of its own, and on docs/flows.md."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from loadtest.business.message import Message
from loadtest.flow import html, mermaid, page
from loadtest.flow.catalogue import FLOWS
from loadtest.flow.flow import Figure
from loadtest.flow.runner import Played, Result
from loadtest.flow.sequence import Step

PAGE = Path(__file__).parents[3] / "docs/flows.md"
ODD = 'a;b#c<script>alert("x")</script>&'


def step(detail: str = "", *, times: int = 1, receiver: str = "B", is_answer: bool = False) -> Step:
    return Step(Message(1.0, "A", receiver, "请求", detail, is_answer), times)


def test_a_request_is_solid_an_answer_dashed_and_a_repeat_counted() -> None:
    drawn = mermaid.diagram([step("ONE"), step("TWO", times=3, is_answer=True)])

    assert drawn.splitlines() == [
        "sequenceDiagram",
        "    participant P1 as A",
        "    participant P2 as B",
        "    P1->>P2: 请求 ONE",
        "    P1-->>P2: 请求 TWO ×3",
    ]


@given(st.text(max_size=30))
def test_no_text_ends_a_line_or_begins_another_statement(text: str) -> None:
    shown = mermaid.escaped(text)

    assert len(shown.splitlines()) <= 1
    assert re.sub(r"#(35|59|lt|gt);", "", shown).count(";") == 0
    assert re.sub(r"#(35|59|lt|gt);", "", shown).count("#") == 0


def test_a_page_carries_no_markup_that_a_system_said_and_needs_no_network() -> None:
    figure = Figure(ODD, ODD, "none", False)
    results = [Result(ODD, [figure], 0.1, False, ODD)]
    played = Played(FLOWS[0], 1, [step(ODD).message, step(ODD, receiver="A").message], results)

    drawn = html.page([played])

    assert "<script" not in drawn
    assert "http://" not in drawn
    assert "https://" not in drawn
    (svg,) = re.findall(r"<svg.*?</svg>", drawn, re.DOTALL)
    assert ODD in str(etree.fromstring(svg).xpath("string()"))
    assert "FAIL" in drawn


def test_every_participant_of_a_page_has_one_lifeline() -> None:
    drawn = html.diagram([step(), step(receiver="C"), step(is_answer=True)])

    assert drawn.count('class="life"') == 3


def test_a_diagram_is_found_again_on_the_page_that_it_was_drawn_on() -> None:
    drawn = {"F01": "sequenceDiagram\n    A->>B: x", "F10": "sequenceDiagram\n    C->>D: y"}

    assert page.diagrams(page.draw(drawn)) == drawn


def test_the_page_says_of_every_flow_what_the_catalogue_says() -> None:
    shown = PAGE.read_text("utf-8")
    diagrams = page.diagrams(shown)

    assert list(diagrams) == [flow.id for flow in FLOWS]
    assert page.draw(diagrams) == shown, "python -m loadtest flow F.. --page docs/flows.md"


def test_a_heading_is_linked_as_a_forge_names_it() -> None:
    (arrears,) = (flow for flow in FLOWS if flow.id == "F10")

    assert page.anchor(arrears) == "f10-欠费停机用户状态以boss为主"
