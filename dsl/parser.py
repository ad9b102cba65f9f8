"""Read machine files: text in, tree out, every fault with its place.

lark compiles the grammar to an LALR(1) table; the table is run here, so that reading goes on after a fault and
values are built without an intermediate tree.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any, cast

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from dsl.builder import Blocks, Builder
from dsl.errors import Diagnostic, DslError
from dsl.habits import FOREIGN_WORDS
from dsl.hints import BLOCKS, Found, explain
from dsl.limits import (
    DEPTH_MAX,
    TOKENS_MAX,
    check_depth,
    check_text,
    span_at,
    too_deep,
    too_many,
)
from dsl.rows import read_table
from dsl.span import Span
from dsl.syntax import Code, Expr, Machine
from dsl.terms import Parts
from dsl.tokens import Scanner, Token, compile_scanner

FAULTS_MAX = 20
"""After how many tokens that cannot stand where they do reading ends."""
TOLD_MAX = 100
STATES_MAX = (
    12 * DEPTH_MAX
)  # deeper texts are refused while they are read, long before memory fills
_STARTS = ("machine", "patch", "expression")
_CELLS = "CELLS"
_RESUME = re.compile(
    r"^[ \t]*(?P<word>enum|const|table|def|environment|utility|require|agent|searcher|search|state|unknown|assume"
    r"|observe|action|adversary|chance|reward|done|memory|param|policy|family|switch|prices|world|report)\b(?!')",
    re.MULTILINE,
)


def parse_machine(text: str) -> Machine:
    """The machine that a file declares. Raises DslError."""
    return cast(Machine, _parse(text, "machine"))


def parse_expression(text: str) -> Expr:
    """A single expression. Raises DslError."""
    return cast(Expr, _parse(text, "expression"))


def parse_blocks(text: str) -> Blocks:
    """The blocks of a file without a machine: `agent`, `searcher`, `search`, each at most once. Raises DslError."""
    return cast(Blocks, _parse(text, "patch"))


def parse_patch(text: str) -> Code:
    """The code of a file that holds one `agent { … }` block and nothing else. Raises DslError."""
    found = parse_blocks(text)
    for word, block in (("searcher", found.searcher), ("search", found.search)):
        if block is not None:
            message = f"`{word}` cannot stand in a patch of the agent alone"
            raise DslError((Diagnostic("G001", message, block.span),))
    return cast(Code, found.agent)


def _parse(text: str, start: str) -> Any:
    check_text(text)
    builder = Builder(text)
    with _collector_paused():
        tree, faults = _Run(_tables(), text, start, builder).read()
        if faults:  # what is missing or stands twice may only seem so
            seeming = ("G040", "G045", "G046")
            rest = builder.finish()
            faults += [f for f in rest if f.code not in seeming and f not in faults]
        else:
            faults = builder.finish()
        if not faults:
            faults += check_depth(tree)
    if faults:
        raise DslError(_first(faults))
    return tree


def _first(faults: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Those that stand first, where there are very many."""
    return tuple(sorted(faults, key=lambda fault: fault.span.start)[:TOLD_MAX])


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Building a large tree makes no garbage cycles; collecting meanwhile only costs time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


# --- tables --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Reduce:
    """Replace the last `size` values by one; without `build` they are handed on as a list.

    A `unit` only renames a single value: the state changes, the value stays.
    """

    size: int
    origin: str
    build: Callable[[Builder, Parts], Any] | None
    unit: bool


@dataclass(frozen=True, slots=True)
class _Tables:
    """The grammar, compiled: what each state does with each kind of token, and how kinds are written.

    An action is the next state or a `_Reduce`. `jumps` remembers what runs of unit rules come to.
    """

    states: dict[int, dict[str, Any]]
    jumps: dict[tuple[int, int, str], int]
    starts: dict[str, tuple[int, int]]
    spelling: dict[str, str]
    patterns: dict[str, re.Pattern[str]]


@cache
def _tables() -> _Tables:
    grammar = files("dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    lark = Lark(grammar, start=list(_STARTS), parser="lalr", lexer="basic", keep_all_tokens=True)
    made: dict[Rule, _Reduce] = {}
    table = lark.parse_interactive("", start=_STARTS[0]).parser_state.parse_conf.parse_table
    states = {
        state: {
            kind: _reduction(target, made) if isinstance(target, Rule) else target
            for kind, (_, target) in actions.items()
        }
        for state, actions in table.states.items()
    }
    terminals = sorted((t for t in lark.terminals if t.pattern is not None), key=_rank)
    skipped = set(lark.ignore_tokens)
    shown = [(t.name, t.pattern.to_regexp()) for t in terminals if t.name not in skipped]
    gap = "|".join(t.pattern.to_regexp() for t in terminals if t.name in skipped)
    return _Tables(
        states=states,
        jumps={},
        starts={s: (table.start_states[s], table.end_states[s]) for s in _STARTS},
        spelling={
            t.name: f"`{t.pattern.value}`" if t.pattern.type == "str" else t.name.lower()
            for t in terminals
        },
        patterns={
            "": compile_scanner([t for t in shown if t[0] != _CELLS]),
            _CELLS: compile_scanner(shown),
            "GAP": re.compile(f"(?:{gap})*+"),
        },
    )


def _rank(terminal: TerminalDef) -> tuple[int, int, str]:
    """The order in which kinds of token are tried: by priority, then the longer before the shorter."""
    return -terminal.priority, -terminal.pattern.max_width, terminal.name


def _reduction(rule: Rule, made: dict[Rule, _Reduce]) -> _Reduce:
    if rule not in made:
        name = str(rule.origin.name)
        build = None if name.startswith("_") else getattr(Builder, f"build_{name}")
        size = len(rule.expansion)
        unit = size == 1 and (build is None or name == "operation")
        made[rule] = _Reduce(size, name, build, unit)
    return made[rule]


# --- running the table ---------------------------------------------------------------------------


class _Run:
    """One reading of one text."""

    def __init__(self, tables: _Tables, text: str, start: str, builder: Builder) -> None:
        self.tables = tables
        self.text = text
        self.builder = builder
        first, self.end = tables.starts[start]
        self.states = [first]
        self.reached = self.states  # the states before the last token led to reductions
        self.values: list[Any] = []
        self.scanner = Scanner(
            text,
            patterns=tables.patterns,
            read_table=partial(read_table, foreign=FOREIGN_WORDS),
        )
        self.tokens = 0
        self.before = Found("", "", Span(1, 1, 1, 1))

    def read(self) -> tuple[Any, list[Diagnostic]]:
        """The tree, or what is wrong with the text."""
        faults: list[Diagnostic] = []
        while len(faults) < FAULTS_MAX:
            found = self._advance()
            if found is None:
                break
            if len(self.states) >= STATES_MAX:
                return None, [*faults, too_deep(found.span)]
            if self.tokens > TOKENS_MAX:
                return None, [*faults, too_many(found.span)]
            stack = self.reached
            accepts = frozenset(
                k for k in self.tables.states[stack[-1]] if self._accepts(k, stack, len(stack))
            )
            faults.append(
                explain(
                    found,
                    accepts,
                    text=self.text,
                    spelling=self.tables.spelling,
                    before=self.before,
                )
            )
            if not self._resume(found, accepts):
                break
        return (None if faults else self.values[0]), faults

    def _advance(self) -> Found | None:
        """Read on to the end (None) or to the first token that cannot stand where it does."""
        feed, scan = self._feed, self.scanner.next
        table, states = self.tables.states, self.states
        last: Token | None = None
        while True:
            token = scan(table[states[-1]])
            kind = token.kind
            self.tokens += 1
            if self.tokens > TOKENS_MAX or not feed(kind, token):
                break
            if kind == "$END":
                return None
            last = token
        if last is not None:
            self.before = Found(last.kind, str(last), last.span)
        if kind == "$END":
            return Found(kind, "", span_at(self.text, len(self.text.rstrip()), 0))
        return Found(kind, str(token), token.span)

    def _feed(self, kind: str, token: Any) -> bool:
        """Take one token; False if it cannot stand here."""
        states, values, table = self.states, self.values, self.tables.states
        action = table[states[-1]].get(kind)
        if action.__class__ is _Reduce:
            self.reached = states[:]
            while action.__class__ is _Reduce:
                if action.unit and values[-1].__class__ is not list:
                    states[-1] = self._jump(states[-2], states[-1], kind)
                else:
                    size, build = action.size, action.build
                    parts = _taken(values, size)
                    if size:
                        del states[-size:]
                    values.append(parts if build is None else build(self.builder, parts))
                    states.append(table[states[-1]][action.origin])
                action = table[states[-1]].get(kind)
        else:
            self.reached = states
        if action is None:
            return kind == "$END" and states[-1] == self.end
        states.append(action)
        values.append(token)
        return len(states) < STATES_MAX

    def _jump(self, below: int, top: int, kind: str) -> int:
        """The state that a run of unit rules leads to, over the state `below`."""
        key = below, top, kind
        if key not in self.tables.jumps:
            table = self.tables.states
            action = table[top].get(kind)
            while action.__class__ is _Reduce and action.unit:
                top = table[below][action.origin]
                action = table[top].get(kind)
            self.tables.jumps[key] = top
        return self.tables.jumps[key]

    def _accepts(self, kind: str, stack: list[int], depth: int) -> bool:
        """Whether a token of that kind can come after the first `depth` states of a stack."""
        table = self.tables.states
        kept = depth
        pushed: list[int] = []
        while True:
            top = pushed[-1] if pushed else stack[kept - 1]
            if kind == "$END" and top == self.end:
                return True
            action = table[top].get(kind)
            if not isinstance(action, _Reduce):
                return action is not None and kind.isupper()
            drop = min(action.size, len(pushed))
            if drop:
                del pushed[-drop:]
            kept -= action.size - drop
            top = pushed[-1] if pushed else stack[kept - 1]
            pushed.append(table[top][action.origin])

    def _resume(self, found: Found, accepts: frozenset[str]) -> bool:
        """Go on at the next line that begins with the keyword of an item; False if there is none.

        An indented item of another block is passed over: it stands in the wrong place, and the block goes on.
        """
        line_start = self.text.rfind("\n", 0, found.span.start) + 1
        blank = not self.text[line_start : found.span.start].strip()
        if found.span.column > 1 and not accepts.isdisjoint(BLOCKS):
            blank = False
        for next_item in _RESUME.finditer(self.text, line_start if blank else found.span.end):
            kind = next_item["word"].upper()
            for depth in range(len(self.states), 0, -1):
                if self._accepts(kind, self.states, depth):
                    del self.states[depth:]
                    del self.values[depth - 1 :]
                    self.scanner.seek(next_item.start("word"))
                    return True
        return False


def _taken(values: list[Any], size: int) -> Parts:
    """The last `size` values taken off; lists among them, which rules named `_…` leave, are spliced in."""
    if not size:
        return []
    parts = values[-size:]
    del values[-size:]
    if parts[0].__class__ is list:
        first: Parts = parts[0]
        rest = parts[1:]
    else:
        first, rest = [], parts
    for part in rest:
        if part.__class__ is list:
            first.extend(part)
        else:
            first.append(part)
    return first
