"""The `search` block as an ordinary machine's declarations: reports become states, the law of attempts is completed.

What comes out is checked, proved about and run like any environment. It is trusted: theorems about a searcher speak of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from fractions import Fraction
from typing import Any, TypeVar

from dsl import syntax as s
from dsl.errors import Diagnostic, DslError
from dsl.span import NO_SPAN, Span, span_of_name

STOP, APPLY = "stop", "apply"
OUTCOMES = ("none", "accepted", "refused", "undecided", "invalid", "empty")
SWITCHES = ("at_once", "held")
AGENT, SEARCHER = "agent", "searcher"
PRICES = {
    "gain_unit": Fraction(1, 100),
    "cost_unit": Fraction(50_000),
    "rlimit": Fraction(1, 20),
    "family_step": Fraction(1),
    "check_step": Fraction(1),
}
"""The prices by name, with what they are where they are left out."""

_COUNTS = ("step", "spent", "held", "applied")
_KNOWN = ("last", "pending", *_COUNTS)
_PER_FAMILY = ("fails", "wins")
_N = TypeVar("_N", bound=s.Node)


def elaborate_search(declarations: s.Declarations, search: s.Search) -> s.Declarations:
    """The declarations that a `search` block stands for, named as the machine with `_search` behind it.

    They hold the constants, tables and definitions of the machine, and the enums that anything here reads. Raises
    DslError for a block that lacks a part, or whose reports or law are not those of a search.
    """
    return _Elaboration(declarations, search).declarations()


def search_machine(machine: s.Machine) -> s.Machine | None:
    """The search and the searcher of a machine as a machine, or None where it has none of its own. Raises DslError."""
    if machine.search is None or machine.searcher is None:
        return None
    return s.Machine(elaborate_search(machine.declarations, machine.search), machine.searcher)


def explain_unknown(diagnostic: Diagnostic, machine: s.Machine) -> Diagnostic:
    """What is said of an unknown name in a search, where a report could have that name or the agent's world has it."""
    name = diagnostic.message.removeprefix("unknown name ")
    if diagnostic.code != "G006" or name == diagnostic.message or machine.search is None:
        return diagnostic
    kind = {"last": "Outcome", "pending": "bool"}.get(name, "int 0..9")
    counted = {f"{word}_{f.name}" for f in families_of(machine.search) for word in _PER_FAMILY}
    if name in _KNOWN or name in counted:
        return replace(diagnostic, help=f"declare it in `world`: report {name}: {kind}")
    if any(getattr(item, "name", None) == name for item in machine.declarations.environment.items):
        message = (
            f"{name} cannot be read here: it is of the agent's world, and a search reads reports"
        )
        return replace(diagnostic, code="G011", message=message, help=None)
    return diagnostic


def families_of(search: s.Search) -> tuple[s.Family, ...]:
    """The families in order."""
    return tuple(i for i in search.items if isinstance(i, s.Family))


def target_of(family: s.Family) -> str:
    """Whose code a family rewrites: `agent` where it does not say."""
    found = (o.value.word for o in family.options if isinstance(o.value, s.Target))
    return next(found, AGENT)


def switch_of(search: s.Search) -> str:
    """When a proved rewrite of the agent is installed: `at_once` where the block does not say."""
    return next((i.word for i in search.items if isinstance(i, s.Switch)), SWITCHES[0])


class _Elaboration:
    """One block on its way; `faults` collects what is wrong with it."""

    def __init__(self, declarations: s.Declarations, search: s.Search) -> None:
        self.machine, self.search = declarations, search
        self.faults: list[Diagnostic] = []
        self.families = families_of(search)
        self.names = [f.name for f in self.families]
        self.won = {
            target: [f.name for f in self.families if target_of(f) == target]
            for target in (AGENT, SEARCHER)
        }
        self.held = switch_of(search) == "held"
        self.world = self._one(s.SearchWorld, "world")
        self.utility = self._one(s.Utility, "utility")
        self.prices = self._at_most_one(s.Prices, "prices")
        self.items: tuple[Any, ...] = () if self.world is None else self.world.items
        self.reports = {r.name: r for r in reversed(self._of(s.Report))}

    def declarations(self) -> s.Declarations:
        """The elaborated declarations. Raises DslError."""
        self._check_families()
        self._check_switch()
        self._check_prices()
        self._check_reports()
        self._check_world()
        if self.faults or self.world is None or self.utility is None:
            raise DslError(tuple(self.faults))
        required = tuple(i for i in self.search.items if isinstance(i, s.Always | s.Reach))
        environment = s.Environment(tuple(self._environment()), self.world.span)
        kept = [i for i in self.machine.items if not isinstance(i, s.Enum)]
        read = words_of([*kept, environment, self.utility, *required])
        words = read - {STOP, APPLY, *self.names, *OUTCOMES}  # these are members of its own
        enums = [
            i
            for i in self.machine.items
            if isinstance(i, s.Enum) and (i.name in read or not words.isdisjoint(i.members))
        ]
        attempt = s.Enum("Attempt", (STOP, APPLY, *self.names), self.search.span)
        outcome = s.Enum("Outcome", OUTCOMES, self.search.span)
        shared = {m for e in enums for m in e.members}
        full = {m: e.name for e in (attempt, outcome) for m in e.members if m in shared}
        items = tuple(_placed(item, item.span, full) for item in environment.items)
        return s.Declarations(
            f"{self.machine.name}_search",
            (attempt, outcome, *enums, *kept),
            s.Environment(items, environment.span),
            self.utility,
            required,
            self.search.span,
        )

    # --- what the block holds --------------------------------------------------------------------

    def _report(self, code: str, message: str, span: Span, hint: str | None = None) -> None:
        self.faults.append(Diagnostic(code, message, span, help=hint))

    def _of(self, kind: type[_N]) -> list[_N]:
        return [i for i in self.items if isinstance(i, kind)]

    def _at_most_one(self, kind: type[_N], word: str) -> _N | None:
        found = [i for i in self.search.items if isinstance(i, kind)]
        for extra in found[1:]:
            self._report("G004", f"{word} is given twice", span_of_name(extra.span))
        return found[0] if found else None

    def _one(self, kind: type[_N], word: str) -> _N | None:
        found = self._at_most_one(kind, word)
        if found is None:
            where = span_of_name(self.search.span)
            self._report("G004", f"the search has no {word}", where, f"add `{word} {{ … }}`")
        return found

    def _check_families(self) -> None:
        met: set[str] = set()
        for family in self.families:
            where = span_of_name(family.span)
            if family.name in met:
                self._report("G007", f"{family.name} is already the name of a family", where)
            elif family.name in (STOP, APPLY):
                self._report(
                    "G007", f"{family.name} is no name for a family: it is tried without one", where
                )
            met.add(family.name)

    def _check_switch(self) -> None:
        switch = self._at_most_one(s.Switch, "switch")
        if switch is not None and switch.word not in SWITCHES:
            message = f"switch is one of {', '.join(SWITCHES)}, found {switch.word}"
            self._report("G067", message, span_of_name(switch.span))

    def _check_prices(self) -> None:
        met: set[str] = set()
        for price in () if self.prices is None else self.prices.entries:
            where = span_of_name(price.span)
            if price.name in met:
                self._report("G004", f"{price.name} is given twice", where)
            elif price.name not in PRICES:
                near = get_close_matches(price.name, PRICES, n=1)
                hint = f"did you mean {near[0]}?" if near else f"prices are {', '.join(PRICES)}"
                self._report("G067", f"there is no price {price.name}", where, hint)
            met.add(price.name)

    def _check_reports(self) -> None:
        for report in self._of(s.Report):
            where = span_of_name(report.span)
            kind, _, family = report.name.partition("_")
            if report.name == "pending":
                fits, wanted = isinstance(report.type, s.BoolType), "bool"
            elif report.name == "last":
                fits, wanted = _is_named(report.type, "Outcome"), "Outcome"
            elif report.name in _COUNTS or (kind in ("fails", "wins") and family in self.names):
                fits, wanted = _counts_from_zero(report.type), "int 0..n"
            else:
                known = [*_KNOWN, *(f"{k}_{n}" for k in ("fails", "wins") for n in self.names)]
                near = get_close_matches(report.name, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"reports are {', '.join(known)}"
                self._report("G068", f"the machine makes no report {report.name}", where, hint)
                continue
            if not fits:
                self._report(
                    "G068", f"the report {report.name} is of type {wanted}", report.type.span
                )
        for item in self._of(s.Next):
            if item.name in self.reports:
                message = f"{item.name}' has no equation: the language fixes how a report goes on"
                self._report("G068", message, span_of_name(item.span))

    def _check_world(self) -> None:
        if self.world is None:
            return
        actions = self._of(s.Action)
        for action in actions:
            if action.name != "try" or not _is_named(action.type, "Attempt"):
                message = f"the only action of a search is `try: Attempt`, found {action.name}"
                self._report("G069", message, span_of_name(action.span))
        if not actions:
            where = span_of_name(self.world.span)
            self._report(
                "G069", "the world of a search has no action", where, "add `action try: Attempt`"
            )
        laws = {i.name: i for i in self.items if isinstance(i, s.Chance | s.Adversary)}
        if "outcome" not in laws:
            where = span_of_name(self.world.span)
            hint = "add `chance outcome: Outcome = match try { … }`"
            self._report("G069", "the world of a search has no outcome", where, hint)
        for name, law in laws.items():
            if name == "outcome" and not _is_named(law.type, "Outcome"):
                self._report("G069", "outcome is of type Outcome", law.type.span)
            if name in ("gain", "cost") and not _counts_from_zero(law.type):
                self._report("G069", f"{name} is of type int 0..n", law.type.span)
            if name in ("outcome", "gain", "cost"):
                self._check_law(law)
        for item in self.items:
            if isinstance(item, s.State | s.Unknown | s.Define) and item.name in (
                "outcome",
                "gain",
                "cost",
            ):
                message = f"{item.name} is drawn: it is `chance` or `adversary`"
                self._report("G069", message, span_of_name(item.span))
        self._check_readers()

    def _check_law(self, law: s.Chance | s.Adversary) -> None:
        """Nothing is drawn on `stop` and `apply`."""
        for node in s.walk(law):
            if not isinstance(node, s.Match | s.DistMatch) or not _is_try(node.subject):
                continue
            for pattern in (p for arm in node.arms for p in arm.patterns):
                if _word(pattern) in (STOP, APPLY):
                    message = f"nothing is drawn when {_word(pattern)} is tried"
                    self._report("G069", message, pattern.span, "leave it out of the `match`")

    def _check_readers(self) -> None:
        """`done` reads reports, requirements read reports and `try`: the rest of the world is not seen by the machine."""
        unseen = {
            i.name: _KINDS[type(i)]
            for i in self.items
            if isinstance(i, s.State | s.Unknown | s.Chance | s.Adversary | s.Define)
        }
        places: list[tuple[str, s.Node]] = [("done", i.value) for i in self._of(s.Done)]
        for item in self.search.items:
            if isinstance(item, s.Always):
                places.append(("a requirement", item.holds))
            elif isinstance(item, s.Reach):
                places += [("a requirement", item.goal), ("a requirement", item.source)]
        for what, tree in places:
            for node in s.walk(tree):
                if isinstance(node, s.Name | s.Primed) and node.name in unseen:
                    reads = "reports" if what == "done" else "reports and `try`"
                    message = (
                        f"{what} of a search reads {reads}, and {node.name} is {unseen[node.name]}"
                    )
                    self._report("G011", message, node.span)

    # --- what it stands for ----------------------------------------------------------------------

    def _environment(self) -> Iterable[Any]:
        taken = {i.name for i in self.items if hasattr(i, "name")} | set(self.names)
        taken |= {i.name for i in self.machine.items}
        over = _fresh("over", taken)
        span = span_of_name(self.world.span if self.world is not None else NO_SPAN)
        for report in self._of(s.Report):
            start: s.Expr = s.IntLit(0, span=report.span)
            if report.name == "pending":
                start = s.BoolLit(False, report.span)
            elif report.name == "last":
                start = s.Name("none")
            yield s.State(report.name, report.type, start, report.span)
        if self._keeps_held():
            # what is applied is what is held, whether or not that is reported
            kind = self.reports["applied"].type
            yield s.State("held", kind, s.IntLit(0, span=span), span)
        yield s.State(over, s.BoolType(span), s.BoolLit(False, span), span)
        if self.reports:
            yield s.Observe(tuple(r.name for r in self._of(s.Report)), span)
        else:
            yield s.Observe((over,), span)
        wins = {target: _fresh(f"won_{target}", taken) for target in (AGENT, SEARCHER)}
        drawn = {i.name for i in self.items if isinstance(i, s.Chance | s.Adversary)}
        for item in self.items:
            match item:
                case s.Report() | s.Reward() | s.Done():
                    continue
                case s.Chance(name) | s.Adversary(name) if name in ("outcome", "gain", "cost"):
                    yield from self._law(item, wins, taken)
                case _:
                    yield item
        for report in self._of(s.Report):
            yield s.Next(report.name, self._following(report, wins, drawn), report.span)
        if self._keeps_held():
            yield s.Next("held", self._held(self.reports["applied"].type, drawn), span)
        ended = _or(_tried(STOP), s.Name(wins[SEARCHER]))
        yield s.Next(over, ended, span)
        for item in self.items:
            if isinstance(item, s.Reward):
                yield replace(item, value=self._charged(item.value, drawn))
            elif isinstance(item, s.Done):
                yield replace(item, value=_or(s.Name(over), item.value))
        if not self._of(s.Done):
            yield s.Done(s.Name(over), span)

    def _keeps_held(self) -> bool:
        return self.held and "applied" in self.reports and "held" not in self.reports

    def _law(
        self, item: s.Chance | s.Adversary, wins: dict[str, str], taken: set[str]
    ) -> Iterable[Any]:
        nothing: s.Expr = s.Name("none") if item.name == "outcome" else s.IntLit(0)
        if item.name == "gain":
            counts: s.Expr = s.Name(wins[AGENT])
            yield from self._gain(item, counts, nothing, taken)
        elif isinstance(item, s.Chance):
            yield replace(item, dist=_completed_law(item.dist, nothing))
        else:
            idle = s.Compare(("==",), (s.Name(item.name), nothing))
            free = s.BoolLit(True) if item.where is None else _completed(item.where)
            yield replace(item, where=s.If(_or(_tried(STOP), _tried(APPLY)), idle, free))
        if item.name == "outcome":
            for target in (AGENT, SEARCHER):
                won = self._won(target)
                yield s.Define(wins[target], won, item.span)

    def _won(self, target: str) -> s.Expr:
        tried = _any_of([_tried(name) for name in self.won[target]])
        if tried is None:
            return s.BoolLit(False)
        accepted = s.Compare(("==",), (s.Name("outcome"), s.Name("accepted")))
        return s.Binary("and", accepted, tried)

    def _gain(
        self, item: s.Chance | s.Adversary, counts: s.Expr, nothing: s.Expr, taken: set[str]
    ) -> Iterable[Any]:
        """A gain counts only when a rewrite of the agent is accepted."""
        if isinstance(item, s.Chance):
            none = s.DistMap((s.Weighted(nothing, s.IntLit(1)),))
            drawn = _completed_dist(item.dist, none)
            yield replace(item, dist=s.DistIf(s.Unary("not", counts), none, drawn))
            return
        # the adversary chooses before chance draws: what it offers counts where the outcome allows it
        offered = _fresh("gain_offered", taken)
        free = None if item.where is None else _renamed(_completed(item.where), "gain", offered)
        yield replace(item, name=offered, where=free)
        yield s.Define("gain", s.If(counts, s.Name(offered), nothing), item.span)

    def _following(self, report: s.Report, wins: dict[str, str], drawn: set[str]) -> s.Expr:
        """The next value of a report (LANGUAGE.md, section 7), saturating at the top of its range."""
        name = report.name
        if name == "last":
            return s.Name("outcome")
        if name == "pending":
            if not self.held:
                return s.BoolLit(False)
            waiting = _or(s.Name("pending"), s.Name(wins[AGENT]))
            return s.Binary("and", s.Compare(("!=",), (s.Name("try"), s.Name(APPLY))), waiting)
        if name == "held":
            return self._held(report.type, drawn)
        if name == "applied":
            if not self.held:
                return _plus("applied", _drawn("gain", drawn), report.type)
            more = _plus("applied", s.Name("held"), report.type)
            return s.If(_tried(APPLY), more, s.Name("applied"))
        if name == "step":
            return _plus("step", s.IntLit(1), report.type)
        if name == "spent":
            return _plus("spent", _drawn("cost", drawn), report.type)
        kind, _, family = name.partition("_")
        target = AGENT if family in self.won[AGENT] else SEARCHER
        more = _plus(name, s.IntLit(1), report.type)
        if kind == "fails":
            counted = s.If(_tried(family), more, s.Name(name))
            return s.If(s.Name(wins[target]), s.IntLit(0), counted)
        won = s.Binary("and", s.Name(wins[target]), _tried(family))
        return s.If(won, more, s.Name(name))

    def _held(self, kind: s.TypeExpr, drawn: set[str]) -> s.Expr:
        if not self.held:
            return s.IntLit(0)
        return s.If(_tried(APPLY), s.IntLit(0), _plus("held", _drawn("gain", drawn), kind))

    def _charged(self, reward: s.Expr, drawn: set[str]) -> s.Expr:
        """The reward less what the attempt costs: tick_price x cost_unit x cost."""
        settings = () if self.utility is None else self.utility.settings
        price = next(
            (i.value for i in settings if isinstance(i, s.Setting) and i.key == "tick_price"), None
        )
        if price is None or "cost" not in drawn:
            return reward
        unit: s.Expr = _literal(PRICES["cost_unit"])
        for entry in () if self.prices is None else self.prices.entries:
            unit = entry.value if entry.name == "cost_unit" else unit
        cost = s.Binary("*", s.Binary("*", price, unit), s.Name("cost"))
        return s.Binary("-", reward, cost, reward.span)


_KINDS: dict[type[s.Node], str] = {
    s.State: "hidden",
    s.Unknown: "unknown",
    s.Chance: "drawn",
    s.Adversary: "chosen against it",
    s.Define: "a `let` of the world",
}


# --- trees ---------------------------------------------------------------------------------------


def _tried(name: str) -> s.Expr:
    return s.Compare(("==",), (s.Name("try"), s.Name(name)))


def _or(left: s.Expr, right: s.Expr) -> s.Expr:
    return s.Binary("or", left, right)


def _any_of(conditions: list[s.Expr]) -> s.Expr | None:
    found: s.Expr | None = None
    for condition in conditions:
        found = condition if found is None else _or(found, condition)
    return found


def _plus(name: str, more: s.Expr, kind: s.TypeExpr) -> s.Expr:
    """`min(name + more, top)`; nothing is added where there is nothing."""
    top = kind.high if isinstance(kind, s.IntType) else None
    if top is None or more == s.IntLit(0):
        return s.Name(name)
    return s.Call("min", (s.Binary("+", s.Name(name), more), top))


def _drawn(name: str, drawn: set[str]) -> s.Expr:
    return s.Name(name) if name in drawn else s.IntLit(0)


def _literal(value: Fraction) -> s.Expr:
    return s.IntLit(int(value)) if value.denominator == 1 else s.RatLit(value)


def _is_named(kind: s.TypeExpr, name: str) -> bool:
    return isinstance(kind, s.NamedType) and kind.name == name


def _counts_from_zero(kind: s.TypeExpr) -> bool:
    return isinstance(kind, s.IntType) and kind.low == s.IntLit(0)


def _is_try(node: s.Node) -> bool:
    return isinstance(node, s.Name) and node.name == "try"


def _word(pattern: s.Expr) -> str | None:
    match pattern:
        case s.Name(name) | s.Member(_, name):
            return name
        case _:
            return None


def words_of(trees: Iterable[s.Node]) -> set[str]:
    """Every name that stands anywhere in trees, types included."""
    found: set[str] = set()
    for tree in trees:
        pending: list[Any] = [tree]
        while pending:
            node = pending.pop()
            if isinstance(node, tuple):
                pending.extend(node)
            elif isinstance(node, s.Node):
                cls: Any = type(node)
                for name in cls.__dataclass_fields__:
                    if name not in ("span", "text"):
                        pending.append(getattr(node, name))
            elif isinstance(node, str):
                found.add(node)
    return found


def _placed(tree: Any, span: Span, full: Mapping[str, str]) -> Any:
    """A tree whose nodes that stand nowhere stand at a place of their own; `full` gives the enum of members that they
    must name in full, since another enum has them too."""
    below = s.children(tree)
    if below:
        tree = s.with_children(tree, tuple(_placed(child, span, full) for child in below))
    if tree.span != NO_SPAN:
        return tree
    if isinstance(tree, s.Name) and tree.name in full:
        return s.Member(full[tree.name], tree.name, span)
    return replace(tree, span=span)


def _fresh(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _renamed(tree: Any, name: str, other: str) -> Any:
    if isinstance(tree, s.Name) and tree.name == name:
        return s.Name(other, tree.span)
    below = s.children(tree)
    return s.with_children(tree, tuple(_renamed(c, name, other) for c in below)) if below else tree


def _completed_law(dist: s.Dist, nothing: s.Expr) -> s.Dist:
    """The law of an attempt, with what `stop` and `apply` draw."""
    none = s.DistMap((s.Weighted(nothing, s.IntLit(1)),))
    found = _completed_dist(dist, none)
    if not isinstance(found, s.DistMatch) or not _is_try(found.subject):
        return s.DistIf(_or(_tried(STOP), _tried(APPLY)), none, found, dist.span)
    return found if found.otherwise is None else replace(found, arms=(_idle(none), *found.arms))


def _idle(none: s.Dist) -> s.DistArm:
    return s.DistArm((s.Name(STOP), s.Name(APPLY)), none)


def _completed_dist(dist: s.Dist, none: s.Dist) -> s.Dist:
    """A distribution whose matches on `try` say what `stop` and `apply` draw, where they name every family."""
    match dist:
        case s.DistMatch(subject, arms, otherwise):
            arms = tuple(replace(a, body=_completed_dist(a.body, none)) for a in arms)
            if otherwise is not None:
                otherwise = _completed_dist(otherwise, none)
            elif _is_try(subject):
                arms = (_idle(none), *arms)
            return replace(dist, subject=_completed(subject), arms=arms, otherwise=otherwise)
        case s.DistIf(test, then, otherwise):
            return s.DistIf(
                _completed(test),
                _completed_dist(then, none),
                _completed_dist(otherwise, none),
                dist.span,
            )
        case s.DistLet(name, value, body):
            return s.DistLet(name, _completed(value), _completed_dist(body, none), dist.span)
        case _:
            return _completed(dist)  # type: ignore[no-any-return]


def _completed(tree: Any) -> Any:
    """An expression whose matches on `try` that name every family take `stop` and `apply` with their last arm.

    It is evaluated for families alone, so that it does not matter which.
    """
    below = s.children(tree)
    if below:
        tree = s.with_children(tree, tuple(map(_completed, below)))
    if isinstance(tree, s.Match) and tree.otherwise is None and _is_try(tree.subject):
        last = tree.arms[-1]
        patterns = (*last.patterns, s.Name(STOP), s.Name(APPLY))
        return replace(tree, arms=(*tree.arms[:-1], replace(last, patterns=patterns)))
    return tree
