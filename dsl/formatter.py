"""Lay a file out canonically, keeping its comments, its spellings and the blank lines between its items.

The printed text has the characters of the source in their order, but for white space, commas and parentheses; so a
comment finds its place again by counting the characters before it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from dsl import syntax as s
from dsl.errors import Diagnostic, DslError
from dsl.limits import BYTES_MAX
from dsl.parser import parse_blocks, parse_machine
from dsl.printer import Item, Line, Printer

_PASSES_MAX = 6
_COMMENT = re.compile(r'#[^\n]*|"[^"\n]*"')  # strings are found too, since they may hold a `#`
_LIGHT = re.compile(r"[\s(),]+")
_PATCH = re.compile(r"(?:\s++|#[^\n]*+)*+(?:agent|search|searcher)\b")

Tells: TypeAlias = Callable[[s.Node], bool]


def format_source(text: str) -> str:
    """The canonical layout of a machine file, or of a patch file that holds an `agent` block.

    Formatting twice changes nothing more. Raises DslError where the text does not parse.
    """
    for _ in range(_PASSES_MAX):
        before, text = text, _format_once(text)
        if text == before:
            break
        if len(text.encode()) > BYTES_MAX:
            raise DslError((Diagnostic("G043", "the file, laid out, is larger than 1 MiB"),))
    return text


def _format_once(text: str) -> str:
    comments = _comments(text)
    starts = [c.start for c in comments]

    def holds(node: s.Node) -> bool:
        return bisect_left(starts, node.span.end) > bisect_right(starts, node.span.start)

    def spaced(node: s.Node) -> bool:
        return _gap_above(text, node.span.start, comments, starts)

    lines, first, blocks = _print(text, holds, spaced)
    apart = {id(b) for b in blocks} | ({id(first)} if first else set())
    return _Merge(text, lines, apart).run(comments)


def _print(
    text: str, holds: Tells, spaced: Tells
) -> tuple[list[Line], s.Node | None, list[s.Node]]:
    """The lines, the first item after the header, and the items that a blank line must precede."""
    if _PATCH.match(text):
        found = parse_blocks(text)
        items: list[Item] = [b for b in (found.agent, found.search, found.searcher) if b]
        searcher, head = found.searcher, list[Line]()
    else:
        machine = parse_machine(text)
        d = machine.declarations
        items = [*d.items, d.environment, d.utility, *d.requirements, machine.agent]
        items += [b for b in (machine.search, machine.searcher) if b is not None]
        searcher, head = machine.searcher, [Line(f"machine {d.name}")]
    items.sort(key=lambda i: i.span.start)
    blocks: list[s.Node] = []
    for before, item in zip([None, *items], items, strict=False):
        if _is_block(item) or (before is not None and _is_block(before)):
            blocks.append(item)
    printer = Printer(holds, spaced, searcher)
    lines = [*head, *printer.items(items, 0)]
    return lines, items[0] if head else None, blocks if head else blocks[1:]


def _is_block(item: s.Node) -> bool:
    return isinstance(item, s.Environment | s.Utility | s.Search | s.Code)


# --- comments ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Comment:
    """A comment of the source: the weighty characters before it in all and in its line, and how it stands."""

    text: str
    start: int
    weight: int
    line_weight: int
    column: int
    trailing: bool
    blank: bool


def _comments(text: str) -> list[_Comment]:
    found: list[_Comment] = []
    weight, end = 0, 0
    for match in _COMMENT.finditer(text):
        start = match.start()
        if text[start] == '"':
            continue
        weight += _weigh(text[end:start])
        end = match.end()
        line_start = text.rfind("\n", 0, start) + 1
        found.append(
            _Comment(
                text=match.group().rstrip(),
                start=start,
                weight=weight,
                line_weight=_weigh(text[line_start:start]),
                column=start - line_start,
                trailing=bool(text[line_start:start].strip()),
                blank=_blank_above(text, start),
            )
        )
    return found


def _weigh(text: str) -> int:
    return len(_LIGHT.sub("", text))


def _blank_above(text: str, offset: int) -> bool:
    """Whether what begins at the offset begins its line, and the line above is blank."""
    line_start = text.rfind("\n", 0, offset) + 1
    if line_start == 0 or text[line_start:offset].strip():
        return False
    return not text[text.rfind("\n", 0, line_start - 1) + 1 : line_start].strip()


def _gap_above(text: str, offset: int, comments: Sequence[_Comment], starts: Sequence[int]) -> bool:
    """Whether a blank line stands above, or above the comments that stand directly above."""
    while True:
        if _blank_above(text, offset):
            return True
        at = bisect_left(starts, offset) - 1
        if at < 0 or comments[at].trailing:
            return False
        if text[starts[at] : offset].count("\n") != 1:
            return False
        offset = starts[at]


# --- putting comments back -----------------------------------------------------------------------


@dataclass(slots=True)
class _Merge:
    """Printed lines, and for each the comments that go above it and after it."""

    source: str
    lines: list[Line]
    apart: set[int]
    reached: list[int] = field(init=False)
    above: list[list[_Comment]] = field(init=False)
    after: list[_Comment | None] = field(init=False)

    def run(self, comments: Sequence[_Comment]) -> str:
        """The text with its comments."""
        self.above = [[] for _ in range(len(self.lines) + 1)]
        self.after = [None] * len(self.lines)
        self.reached = list(accumulate(_weigh(line.text) for line in self.lines))
        self._check(self.reached[-1])
        last = 0
        for comment in comments:
            last = max(last, self._place(comment))
            self._put(comment, last)
        out: list[str] = []
        for i in range(len(self.lines) + 1):
            self._emit(i, out)
        return "\n".join(out) + "\n"

    def _check(self, printed: int) -> None:
        source = _weigh(_COMMENT.sub(lambda m: m[0] if m[0][0] == '"' else "", self.source))
        if printed != source:
            raise AssertionError(f"the printer lost text: {source} characters became {printed}")

    def _place(self, comment: _Comment) -> int:
        """Where the comment wants to be: 2i above line i, 2i + 1 at its end."""
        if comment.trailing and comment.weight:
            return 2 * bisect_left(self.reached, comment.weight) + 1
        return 2 * bisect_right(self.reached, comment.weight)

    def _put(self, comment: _Comment, place: int) -> None:
        line, at_end = divmod(place, 2)
        if not at_end:
            self.above[line].append(comment)
            return
        earlier = self.after[line]
        if earlier is not None:  # a line has room for one: those before it move up
            self.above[line].append(earlier)
        self.after[line] = comment

    def _emit(self, i: int, out: list[str]) -> None:
        """Write line i, or the end of the file, with what goes above it."""
        line = self.lines[i] if i < len(self.lines) else Line("")
        bare = line.text.strip()
        indent = line.text[: len(line.text) - len(bare)]
        begins_block = i == 0 or self.lines[i - 1].text.endswith("{")
        first = len(out)

        def space() -> None:
            if out and out[-1] and not (begins_block and len(out) == first):
                out.append("")

        if line.item is not None and id(line.item) in self.apart:
            space()
        for comment in self.above[i]:
            if comment.blank and (line.item is not None or bare in ("", "}")):
                space()
            out.append(indent + ("  " if bare[:1] in ("}", "]") else "") + comment.text)
        if line.item is not None and _blank_above(self.source, line.item.span.start):
            space()
        if bare:
            out.append(line.text + self._tail(i, line.text))

    def _tail(self, i: int, text: str) -> str:
        comment = self.after[i]
        if comment is None:
            return ""
        start = self.reached[i - 1] if i else 0
        same_line = (comment.weight, comment.line_weight) == (
            self.reached[i],
            self.reached[i] - start,
        )
        # where the line still says the same, the comment keeps its column if there is room
        return " " * max(2, comment.column - len(text) if same_line else 0) + comment.text
