"""Print trees as canonical text: what `parse` reads back as the same tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from dsl import syntax as s
from dsl.layout import WIDTH, Layout, fill
from dsl.oneline import Term

_AGENT_WIDTH = 80

Item: TypeAlias = (
    s.TopItem
    | s.EnvironmentItem
    | s.Requirement
    | s.Slot
    | s.Statement
    | s.Environment
    | s.Utility
    | s.Search
    | s.SearchItem
    | s.Report
    | s.Code
)


def print_expression(expr: s.Expr) -> str:
    """The expression, on one line if it fits."""
    return Layout().lay(expr, 0, 0)


def print_dist(dist: s.Dist) -> str:
    """The distribution, on one line if it fits."""
    return Layout().lay(dist, 0, 0)


def print_type(t: s.TypeExpr) -> str:
    """The type, on one line."""
    return Layout().type(t)


def print_slot(slot: s.Slot) -> str:
    """One `memory`, `param`, `table`, `def` or `policy`."""
    return _text(Printer().items([slot], 0))


def print_code(code: s.Code, word: str = "agent") -> str:
    """The `agent { … }` block, or that of the searcher."""
    return _text(Printer(searcher=code if word == "searcher" else None).items([code], 0))


def print_search_world(world: s.SearchWorld) -> str:
    """The `world { … }` block of a search."""
    return _text(Printer().items([world], 0))


def print_search(search: s.Search) -> str:
    """The `search { … }` block."""
    return _text(Printer().items([search], 0))


def print_machine(machine: s.Machine) -> str:
    """The whole file: declarations, environment, utility, requirements, agent, search, searcher."""
    printer = Printer(searcher=machine.searcher)
    lines = _declaration_lines(machine.declarations, printer)
    groups: list[list[Item]] = [[machine.agent]]
    if machine.search is not None:
        groups.append([machine.search])
    if machine.searcher is not None:
        groups.append([machine.searcher])
    for group in groups:
        lines += [Line(""), *printer.items(group, 0)]
    return _text(lines) + "\n"


def print_declarations(declarations: s.Declarations) -> str:
    """What a machine declares, without its code and its search."""
    return _text(_declaration_lines(declarations, Printer())) + "\n"


def _declaration_lines(d: s.Declarations, printer: Printer) -> list[Line]:
    lines = [Line(f"machine {d.name}")]
    groups: list[list[Item]] = []
    for item in d.items:
        if not groups or type(groups[-1][0]) is not type(item):
            groups.append([])
        groups[-1].append(item)
    groups += [[d.environment], [d.utility], [*d.requirements]]
    for group in filter(None, groups):
        lines += [Line(""), *printer.items(group, 0)]
    return lines


def _text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line, and the item that begins with it, if one does."""

    text: str
    item: s.Node | None = None


@dataclass(slots=True)
class Printer:
    """Prints items, one after the other.

    `holds` tells whether a comment stands inside a node; `spaced` whether a blank line stands before an item. Code is
    the agent's unless it is `searcher` itself.
    """

    holds: Callable[[s.Node], bool] = lambda node: False
    spaced: Callable[[s.Node], bool] = lambda node: False
    searcher: s.Code | None = None

    def items(self, items: Sequence[Item], indent: int) -> list[Line]:
        """The lines of some items; equations of one kind that follow each other have their signs aligned."""
        layout = Layout(self.holds)
        lines: list[Line] = []
        at = 0
        while at < len(items):
            end = at + 1
            kind = _aligned(items[at])
            while kind and end < len(items) and _aligned(items[end]) == kind:
                if self.spaced(items[end]):
                    break
                end += 1
            run = items[at:end]
            width = max(len(_left(i)) for i in run)
            for item in run:
                lines += self._item(item, indent, width, layout)
            at = end
        return lines

    def _item(self, item: Item, indent: int, width: int, layout: Layout) -> list[Line]:
        match item:
            case s.Environment():
                return self._block("environment {", item.items, item, indent)
            case s.Search():
                return self._block("search {", item.items, item, indent)
            case s.SearchWorld():
                return self._block("world {", item.items, item, indent)
            case s.Prices():
                return self._prices(item, indent, layout)
            case s.Utility():
                return self._utility(item, indent, layout)
            case s.Code():
                return self._code(item, indent)
            case s.Policy():
                return self._policy(item, indent)
            case s.Enum():
                text = self._enum(item, indent, width)
            case s.Observe():
                words = fill(item.names, indent + len("observe "))
                text = "observe " + ("\n" + " " * (indent + 8)).join(words)[:-1]
            case s.Switch():
                text = f"switch {item.word}"
            case s.Family():
                text = self._family(item, indent, width, layout)
            case s.Action() | s.Unknown() | s.Report():
                word = type(item).__name__.lower()
                text = f"{word} {item.name}: {layout.type(item.type)}"
            case s.Adversary():
                head = f"adversary {item.name}: {layout.type(item.type)}"
                text = _condition(head, item.where, indent, layout)
            case s.Assume():
                text = "assume " + layout.lay(item.condition, indent, indent + len("assume "))
            case s.Always() | s.Reach():
                text = _requirement(item, indent, layout)
            case s.Def():
                text = self._def(item, indent, layout)
            case s.Table() | s.Param() | s.State() | s.Memory():
                word = type(item).__name__.lower()
                value = item.start if isinstance(item, s.State | s.Memory) else item.value
                head = f"{word} {item.name}: {layout.type(item.type)}"
                if isinstance(value, s.AnyStart):
                    text = _condition(f"{head} = any", value.where, indent, layout)
                else:
                    text = _equation(head, value, indent, layout)
            case s.Chance():
                head = f"chance {item.name}: {layout.type(item.type)}"
                text = _equation(head, item.dist, indent, layout)
            case s.Const() | s.Define() | s.Next() | s.Reward() | s.Done() | s.Assign():
                text = _equation(_left(item).ljust(width), item.value, indent, layout)
            case _:
                assert_never(item)
        return _lines(text, item, indent)

    def _block(self, head: str, items: Sequence[Item], node: s.Node, indent: int) -> list[Line]:
        pad = " " * indent
        return [Line(pad + head, node), *self.items(items, indent + 2), Line(pad + "}")]

    def _utility(self, utility: s.Utility, indent: int, layout: Layout) -> list[Line]:
        texts = [_setting(setting, layout) for setting in utility.settings]
        pad = " " * indent
        flat = f"{pad}utility {{ {'  '.join(texts)} }}" if texts else f"{pad}utility {{ }}"
        if not self.holds(utility) and len(flat) <= WIDTH:
            return [Line(flat, utility)]
        lines = [Line(f"{pad}utility {{", utility)]
        for setting in utility.settings:
            text = _lay_setting(setting, indent + 2, layout)
            lines += _lines(text, setting, indent + 2)
        return [*lines, Line(pad + "}")]

    def _prices(self, prices: s.Prices, indent: int, layout: Layout) -> list[Line]:
        pad = " " * indent
        heads = [f"{p.name}: " for p in prices.entries]
        texts = [h + layout.flat(p.value) for h, p in zip(heads, prices.entries, strict=True)]
        flat = f"{pad}prices {{ {', '.join(texts)} }}"
        if not self.holds(prices) and len(flat) <= WIDTH:
            return [Line(flat, prices)]
        lines = [Line(f"{pad}prices {{", prices)]
        for head, price in zip(heads, prices.entries, strict=True):
            text = head + layout.lay(price.value, indent + 2, indent + 2 + len(head), 1) + ","
            lines += _lines(text, price, indent + 2)
        return [*lines, Line(pad + "}")]

    def _family(self, family: s.Family, indent: int, width: int, layout: Layout) -> str:
        head = f"{_left(family).ljust(width)} = {family.kind}("
        heads = [f"{o.key}: " for o in family.options]
        values = [o.value for o in family.options]
        texts = [h + _flat_option(v, layout) for h, v in zip(heads, values, strict=True)]
        flat = f"{head}{', '.join(texts)})"
        if indent + len(flat) <= WIDTH and not self.holds(family):
            return flat
        pad = "\n" + " " * (indent + 2)
        lines = [
            h + _lay_option(v, indent + 2, indent + 2 + len(h), layout) + ","
            for h, v in zip(heads, values, strict=True)
        ]
        return f"{head}{pad}{pad.join(lines)}\n{' ' * indent})"

    def _code(self, code: s.Code, indent: int) -> list[Line]:
        word = "searcher" if code is self.searcher else "agent"
        if len(code.slots) == 1 and isinstance(code.slots[0], s.Policy) and not self.holds(code):
            inner = self._policy(code.slots[0], 0)
            flat = f"{' ' * indent}{word} {{ {inner[0].text} }}"
            if len(inner) == 1 and len(flat) <= _AGENT_WIDTH:
                return [Line(flat, code)]
        return self._block(f"{word} {{", code.slots, code, indent)

    def _policy(self, policy: s.Policy, indent: int) -> list[Line]:
        head = "policy {" if policy.name == "main" else f"policy {policy.name} {{"
        if not self.holds(policy) and len(policy.body) <= 1:
            inner = self.items(policy.body, 0)
            flat = " ".join([" " * indent + head, *(line.text for line in inner), "}"])
            if len(inner) <= 1 and len(flat) <= WIDTH:
                return [Line(flat, policy)]
        return self._block(head, policy.body, policy, indent)

    def _enum(self, enum: s.Enum, indent: int, width: int) -> str:
        head = _left(enum).ljust(width)
        flat = f"{head} {{ {', '.join(enum.members)} }}"
        if indent + len(flat) <= WIDTH and not self.holds(enum):
            return flat
        pad = "\n" + " " * (indent + 2)
        members = (
            [f"{m}," for m in enum.members] if self.holds(enum) else fill(enum.members, indent + 2)
        )
        return f"{head} {{{pad}{pad.join(members)}\n{' ' * indent}}}"

    def _def(self, item: s.Def, indent: int, layout: Layout) -> str:
        parameters = [f"{p.name}: {layout.type(p.type)}" for p in item.parameters]
        end = f"): {layout.type(item.result)} ="
        head = f"def {item.name}({', '.join(parameters)}{end}"
        if indent + len(head) > WIDTH and parameters:
            pad = "\n" + " " * (indent + 4)
            head = f"def {item.name}({pad}{(',' + pad).join(parameters)}{end}"
        column = indent + len(head) + 1
        if "\n" not in head and layout.fits(item.body, column, 0):
            return f"{head} {layout.flat(item.body)}"
        body = layout.lay(item.body, indent + 2, indent + 2)
        return f"{head}\n{' ' * (indent + 2)}{body}"


def _flat_option(value: s.Expr | s.Text | s.Target, layout: Layout) -> str:
    match value:
        case s.Text(text):
            return f'"{text}"'
        case s.Target(word):
            return word
        case _:
            return layout.flat(value)


def _lay_option(value: s.Expr | s.Text | s.Target, indent: int, column: int, layout: Layout) -> str:
    if isinstance(value, s.Text | s.Target):
        return _flat_option(value, layout)
    return layout.lay(value, indent, column, 1)


def _lines(text: str, item: s.Node, indent: int) -> list[Line]:
    first, *rest = text.split("\n")
    return [Line(" " * indent + first, item), *(Line(line) for line in rest)]


def _equation(head: str, value: Term, indent: int, layout: Layout) -> str:
    column = indent + len(head) + 3
    if isinstance(value, s.Let | s.DistLet) and not layout.fits(value, column, 0):
        return f"{head} =\n{' ' * (indent + 2)}{layout.lay(value, indent + 2, indent + 2)}"
    return f"{head} = {layout.lay(value, indent, column)}"


def _condition(head: str, condition: s.Expr | None, indent: int, layout: Layout) -> str:
    """What a condition may follow: `where` on the same line if it fits there."""
    if condition is None:
        return head
    column = indent + len(head) + len(" where ")
    if layout.fits(condition, column, 0):
        return f"{head} where {layout.flat(condition)}"
    below = layout.lay(condition, indent + 2, indent + 2 + len("where "))
    return f"{head}\n{' ' * (indent + 2)}where {below}"


def _requirement(item: s.Requirement, indent: int, layout: Layout) -> str:
    if isinstance(item, s.Always):
        head = f"require {item.name}: always "
        return head + layout.lay(item.holds, indent, indent + len(head))
    head = f"require {item.name}: within "
    parts = ((head, item.steps), ("reach ", item.goal), ("from ", item.source))
    flat = " ".join([*(word + layout.flat(e) for word, e in parts), f"using {item.policy}"])
    if indent + len(flat) <= WIDTH and layout.plain(item):
        return flat
    pad = indent + 2
    lines = [word + layout.lay(e, pad, pad + len(word)) for word, e in parts]
    return ("\n" + " " * pad).join([*lines, f"using {item.policy}"])


def _setting(setting: s.Setting | s.Costs, layout: Layout) -> str:
    if isinstance(setting, s.Setting):
        return f"{setting.key} {layout.flat(setting.value)}"
    entries = ", ".join(f'"{c.operation}": {layout.flat(c.ticks)}' for c in setting.entries)
    return f"costs {{ {entries} }}"


def _lay_setting(setting: s.Setting | s.Costs, indent: int, layout: Layout) -> str:
    if isinstance(setting, s.Setting):
        head = f"{setting.key} "
        return head + layout.lay(setting.value, indent, indent + len(head))
    flat = _setting(setting, layout)
    if indent + len(flat) <= WIDTH and layout.plain(setting):
        return flat
    pad = "\n" + " " * (indent + 2)
    heads = [f'"{c.operation}": ' for c in setting.entries]
    lines = [
        h + layout.lay(c.ticks, indent + 2, indent + 2 + len(h), 1) + ","
        for h, c in zip(heads, setting.entries, strict=True)
    ]
    return f"costs {{{pad}{pad.join(lines)}\n{' ' * indent}}}"


def _aligned(item: Item) -> str:
    """The kind of run that an item belongs to, or nothing."""
    match item:
        case s.Next() | s.Reward() | s.Done() | s.Assign():
            return "equation"
        case s.Enum() | s.Const() | s.Define() | s.Family():
            return type(item).__name__
        case _:
            return ""


def _left(item: Item) -> str:
    """What stands before the sign that is aligned."""
    match item:
        case s.Next():
            return item.name + "'"
        case s.Reward():
            return "reward"
        case s.Done():
            return "done"
        case s.Define():
            return f"let {item.name}"
        case s.Const():
            return f"const {item.name}"
        case s.Enum():
            return f"enum {item.name}"
        case s.Family():
            return f"family {item.name}"
        case s.Assign():
            return item.name
        case _:
            return ""
