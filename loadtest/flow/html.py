"""Played flows as one page that needs nothing else: each sequence as a diagram in SVG, each check
with its figures. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Final

from loadtest.flow.runner import Played, Result
from loadtest.flow.sequence import Step, fold, participants

COLUMN_PX: Final = 190
ROW_PX: Final = 40
HEAD_PX: Final = 64
LEFT_PX: Final = 70  #: for the times
LOOP_PX: Final = 26
DETAIL_MAX: Final = 34

_STYLE: Final = """
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2em; color: #222; }
h2 { margin-top: 2.5em; border-top: 1px solid #ccc; padding-top: 1em; }
svg { font: 12px system-ui, "Noto Sans CJK SC", sans-serif; }
.box { fill: #eef3f8; stroke: #5b7a99; } .hlrd { fill: #fdf0d5; stroke: #b8860b; }
.life { stroke: #bbb; stroke-dasharray: 3 4; } .time, .detail { fill: #777; }
.call, .answer { stroke: #24476b; fill: none; } .answer { stroke-dasharray: 6 3; }
.pass { color: #1a7f37; } .fail { color: #c62828; font-weight: bold; }
.figure { color: #666; margin: 0 0 0 3.4em; } pre { color: #c62828; }
"""

_HEAD: Final = (
    '<!doctype html>\n<html lang="zh">\n<head><meta charset="utf-8"><title>hlrd: flows</title>\n'
    f"<style>{_STYLE}</style></head>\n<body>\n<h1>hlrd: flows</h1>\n"
)
_ARROW: Final = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto-start-reverse"><path d="M0 0 L8 4 L0 8 z" fill="#24476b"/></marker></defs>'
)


def page(all_played: Sequence[Played]) -> str:
    return _HEAD + "\n".join(_section(played) for played in all_played) + "\n</body></html>\n"


def _section(played: Played) -> str:
    flow = played.flow
    kinds = ", ".join(flow.kinds) or "no order of hlrd"
    title = escape(f"{flow.id} {flow.chinese} {flow.english}")
    parts = [f'<h2 id="{flow.id}">{title}</h2>', f"<p>{escape(flow.page)} · {escape(kinds)}</p>"]
    parts.append(diagram(fold(played.messages)))
    parts += [_result(result) for result in played.results]
    if played.error:
        parts.append(f"<pre>{escape(played.error)}</pre>")
    return "\n".join(parts)


def diagram(steps: Sequence[Step]) -> str:
    """Lifelines from left to right, time downwards; an answer is a dashed line."""
    names = participants(step.message for step in steps)
    columns = {name: LEFT_PX + COLUMN_PX * place + 70 for place, name in enumerate(names)}
    width = LEFT_PX + COLUMN_PX * len(names)
    height = HEAD_PX + ROW_PX * (len(steps) + 1)
    started_s = min((step.message.at for step in steps), default=0.0)
    parts = [f'<svg width="{width}" height="{height}" role="img">', _ARROW]
    for name, x in columns.items():
        parts += _lifeline(name, x, height)
    for row, step in enumerate(steps, 1):
        parts += _arrow(step, columns, HEAD_PX + ROW_PX * row, started_s)
    return "\n".join([*parts, "</svg>"])


def _lifeline(name: str, x: int, height: int) -> Iterator[str]:
    kind = "box hlrd" if "hlrd" in name else "box"
    yield f'<line class="life" x1="{x}" y1="{HEAD_PX - 20}" x2="{x}" y2="{height}"/>'
    yield f'<rect class="{kind}" x="{x - 70}" y="10" width="140" height="32" rx="4"/>'
    yield f'<text x="{x}" y="31" text-anchor="middle">{escape(name)}</text>'


def _arrow(step: Step, columns: Mapping[str, int], y: int, started_s: float) -> Iterator[str]:
    message = step.message
    begin, end = columns[message.sender], columns[message.receiver]
    kind = "answer" if message.is_answer else "call"
    times = f" ×{step.times}" if step.times > 1 else ""
    middle = (begin + end) // 2 if begin != end else begin + LOOP_PX * 2
    yield _text("time", 4, y + 4, f"{(message.at - started_s) * 1_000:,.0f} ms", anchor="start")
    yield (
        f'<path class="{kind}" d="{_way(begin, end, y)}" marker-end="url(#head)">'
        f"<title>{escape(message.detail)}</title></path>"
    )
    yield _text("name", middle, y - 5, message.name + times)
    yield _text("detail", middle, y + 13, _cut(message.detail))


def _way(begin: int, end: int, y: int) -> str:
    """What a participant says to itself goes out and comes back."""
    if begin != end:
        return f"M{begin} {y} L{end} {y}"
    return f"M{begin} {y - 6} h{LOOP_PX} v12 h-{LOOP_PX}"


def _text(kind: str, x: int, y: int, text: str, *, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _result(result: Result) -> str:
    kind, word = ("pass", "pass") if result.holds else ("fail", "FAIL")
    lines = [f'<p><span class="{kind}">{word}</span> {escape(result.sentence)}</p>']
    for figure in result.figures:
        found = figure.found if figure.holds else f"{figure.found}, wanted {figure.wanted}"
        lines.append(f'<p class="figure">{escape(figure.what)}: {escape(found)}</p>')
    if result.error:
        lines.append(f"<pre>{escape(result.error)}</pre>")
    return "\n".join(lines)


def _cut(detail: str) -> str:
    return detail if len(detail) <= DETAIL_MAX else f"{detail[: DETAIL_MAX - 1]}…"
