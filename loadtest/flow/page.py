"""docs/flows.md, drawn from the catalogue and from what runs recorded. Pure: text in, text out."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from loadtest.business.message import Message
from loadtest.flow import mermaid
from loadtest.flow.catalogue import FLOWS
from loadtest.flow.flow import Check, Flow
from loadtest.flow.sequence import fold, settled

_HEAD: Final = """\
<!-- Written by `python -m loadtest flow all --page docs/flows.md`; do not edit by hand. -->

# Flows

Every flow of the two seed documents, each with one command that starts what it needs, tells its
story, proves it and exits 0 only if everything held. Nothing is mocked: CRM, BOSS, ESOP, the
central authentication, relays, platforms and network elements are processes of their own on
loopback, and speak to hlrd as the real ones would.

```sh
export PATH="$PWD/.venv/bin:$PATH"           # once in a shell; make demo, run or test has built it
python -m loadtest flow                      # the list
python -m loadtest flow F10                  # one: its sequence, then its checks
python -m loadtest flow arrears 缴费开机      # by name, several
python -m loadtest flow all --faults         # all, and what must hold when they fail
python -m loadtest flow all --small --faults # the same with few users: four minutes
python -m loadtest flow F06 --size 20 --html f06.html --json f06.json
python -m loadtest flow F20 --one-process    # province and headquarters in one hlrd
```

The counts of the checks are those of the acceptance sentences; `--size` turns them down or up. The
diagrams are what the runs recorded, without ids and times: solid is a request, dashed an answer,
and `×3` came three times in a row. What ran side by side is drawn one after the other. Each message
has the seeds' own name. `S1` is 《CRM与BOSS重点问题讨论》, `S2` 《物联网业务支撑系统研究》.
"""

_STORMS: Final = """\
## Storms

`python -m loadtest storm month` runs [F10](#{F10}), [F12](#{F12}), [F06](#{F06}) and
the replaced card at the size of a province's first of the month; `storm enterprise` stops and
resumes an enterprise of 100,000 members; `storm elements` keeps openings, products, stops and
payments going on sick elements and kills hlrd in the middle. Each ends with a proof over what
upstream wrote down, the database and every element ([performance.md](performance.md#storms)).
"""

_SECTION: Final = re.compile(r"^## (F\d\d) .*?^```mermaid\n(.*?)\n```$", re.MULTILINE | re.DOTALL)


def diagram(flow: Flow, messages: Sequence[Message]) -> str:
    """The same for all runs of a flow."""
    return mermaid.diagram(fold(settled(messages, flow.acts.legs)))


def diagrams(page: str) -> dict[str, str]:
    """Those that a page has, by id of the flow."""
    return dict(_SECTION.findall(page))


def draw(drawn: Mapping[str, str]) -> str:
    """The page with these diagrams; flows without one have none yet."""
    sections = [_section(flow, drawn[flow.id]) for flow in FLOWS if flow.id in drawn]
    return "\n".join([_HEAD, _table(), *sections, _storms()])


def _storms() -> str:
    return _STORMS.format(**{flow.id: anchor(flow) for flow in FLOWS})


def _table() -> str:
    rows = [
        "| id | flow | | seed page | orders | command |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows += [_row(flow) for flow in FLOWS]
    return "\n".join(rows) + "\n"


def _row(flow: Flow) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in flow.kinds) or "none"
    link = f"[{flow.id}](#{anchor(flow)})"
    names = f"{flow.chinese} | {flow.english}"
    return f"| {link} | {names} | {flow.page} | {kinds} | `{flow.command}` |"


def anchor(flow: Flow) -> str:
    """As a forge makes it of the heading: small letters, no punctuation, `-` for blanks."""
    kept = re.sub(r"[^\w\- ]", "", _heading(flow).lower())
    return kept.replace(" ", "-")


def _heading(flow: Flow) -> str:
    return f"{flow.id} {flow.chinese}"


def _section(flow: Flow, drawn: str) -> str:
    kinds = ", ".join(f"`{kind}`" for kind in flow.kinds) or "no order of hlrd"
    return "\n".join(
        [
            f"## {_heading(flow)}\n",
            f"{flow.english}; {flow.page}; {kinds}. `{flow.command} --faults`\n",
            *_list("It proves", flow, flow.acts.checks),
            *_list("And when it fails", flow, flow.acts.faults),
            f"```mermaid\n{drawn}\n```\n",
        ]
    )


def _list(title: str, flow: Flow, checks: Sequence[Check]) -> list[str]:
    if not checks:
        return []
    return [f"{title}:\n", *(f"- {check.told(flow.acts.size)}" for check in checks), ""]
