"""Sketches: code with holes, as the family `holes` is given them.

A sketch is text that holds items of a block of code; they take the place of those of the same name, and new ones are added.
A hole is written `?name` wherever an expression may stand, and the same name is the same hole everywhere. Its values are
those of the type that its place asks for, or of the type that `?name: type` gives it, which stands among the items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from dsl import syntax as s
from dsl.check_code import check_code, scope_of
from dsl.elaborate import elaborate
from dsl.errors import Diagnostic, DslError
from dsl.infer import Faults
from dsl.interp import Evaluator
from dsl.machine import Decision, MemoryTuple, Program
from dsl.parser import parse_patch
from dsl.scope import ScopeBuilder
from dsl.types import Array, Bool, Int, Type, Value, cardinality, values, without_ranges
from godel.families.patches import literal, written
from godel.families.rule import identifiers, transform
from godel.patch import merge_slots

VALUES_MAX = 128
"""How many values a hole may have."""

_HOLE = re.compile(r"\?([A-Za-z_][A-Za-z0-9_]*)")
_ITEM = re.compile(r"\b(?:memory|param|table|def|policy)\b")


@dataclass(frozen=True, slots=True)
class Hole:
    """A hole by its name in the sketch, with its type and the values it may have."""

    name: str
    kind: Type
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Sketch:
    """Code with holes, merged into the code of a program. `names` gives what a hole is called in `code`, in the order of
    `holes`; `program` has a param for each hole."""

    code: s.Code
    holes: tuple[Hole, ...]
    names: tuple[str, ...]
    program: Program
    lazy: Mapping[str, Callable[[Evaluator], Any]]

    def fill(self, chosen: tuple[int, ...]) -> s.Code:
        """The code with values in the place of holes, by their numbers."""
        filled = {
            name: literal(self.program, hole.kind, hole.values[i])
            for name, hole, i in zip(self.names, self.holes, chosen, strict=True)
        }

        def change(node: s.Node) -> s.Node | None:
            return filled.get(node.name) if isinstance(node, s.Name) else None

        return cast(s.Code, s.fold_literals(transform(self.code, change)))

    def decide(
        self, observed: Mapping[str, Value], memory: MemoryTuple, chosen: Mapping[int, int]
    ) -> Decision:
        """What the policy decides with values in some holes. Raises Needed where it comes to another one."""
        reader = _Reader(self, chosen)
        names = replace(self.program.names, values=reader)
        reader.evaluator = Evaluator(names)
        return replace(self.program, names=names).decide(observed, memory)


class Needed(Exception):
    """The value of a hole is needed, which is given by its number."""

    def __init__(self, hole: int) -> None:
        self.hole = hole
        super().__init__(f"hole {hole}")


class _Reader(Mapping[str, Any]):
    """The values of constants; of holes those that are chosen, and what reads holes is worked out when it is asked for."""

    evaluator: Evaluator

    def __init__(self, sketch: Sketch, chosen: Mapping[int, int]) -> None:
        self._sketch, self._chosen = sketch, chosen
        self._numbers = {name: i for i, name in enumerate(sketch.names)}
        self._known = sketch.program.names.values

    def __getitem__(self, name: str) -> Any:
        number = self._numbers.get(name)
        if number is None:
            lazy = self._sketch.lazy.get(name)
            return self._known[name] if lazy is None else lazy(self.evaluator)
        if number not in self._chosen:
            raise Needed(number)
        return self._sketch.holes[number].values[self._chosen[number]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


class _Row(tuple[Any, ...]):
    """An array whose entries are worked out one by one, so that looking up one needs no hole of another."""

    evaluator: Evaluator

    def __getitem__(self, index: Any) -> Any:
        return _worked_out(super().__getitem__(index), self.evaluator)

    def __iter__(self) -> Iterator[Any]:
        return (_worked_out(item, self.evaluator) for item in super().__iter__())

    def __eq__(self, other: object) -> bool:
        return tuple(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(tuple(self))


def _worked_out(tree: s.Expr, evaluator: Evaluator) -> Any:
    if isinstance(tree, s.ArrayLit):
        row = _Row(tree.items)
        row.evaluator = evaluator
        return row
    return Evaluator(evaluator.names).value(tree, {})


# --- reading -------------------------------------------------------------------------------------


def read_sketch(text: str, program: Program) -> Sketch:
    """The sketch that a text stands for, in the place of parts of a program. Raises DslError."""
    prefix = _prefix(text, program)
    try:
        return _read(text, program, prefix)
    except DslError as error:
        raise DslError(tuple(_shown(d, prefix) for d in error.diagnostics)) from None


def _shown(found: Diagnostic, prefix: str) -> Diagnostic:
    """A fault with holes as they are written."""
    notes = tuple(note.replace(prefix, "?") for note in found.notes)
    hint = None if found.help is None else found.help.replace(prefix, "?")
    return replace(found, message=found.message.replace(prefix, "?"), notes=notes, help=hint)


def _read(text: str, program: Program, prefix: str) -> Sketch:
    given = parse_patch("agent {\n" + _as_items(text, prefix) + "\n}")
    declared = {i.name: i.type for i in given.slots if i.name.startswith(prefix)}  # type: ignore[union-attr]
    items = tuple(i for i in given.slots if not i.name.startswith(prefix))
    code = merge_slots(program.code, items)
    met = [n.name for n in s.walk(code) if isinstance(n, s.Name) and n.name.startswith(prefix)]
    names = list(dict.fromkeys(met))
    if not names:
        raise _fault("a sketch without a hole", "write `?name` in the place of an expression")
    for name in declared.keys() - set(names):
        raise _fault(f"no expression holds ?{name[len(prefix) :]}")
    for slot in items:
        if isinstance(slot, s.Memory) and _reads(slot, prefix):
            raise _fault(f"the start of the memory {slot.name} cannot be a hole")
    kinds = _Places(program, items, declared, prefix).kinds()
    holes: list[Hole] = []
    for name in names:
        kind = kinds.get(name)
        count = None if kind is None else cardinality(kind)
        shown = name[len(prefix) :]
        if kind is None or count is None:
            raise _fault(f"nothing says which values ?{shown} may have", f"?{shown}: int 0..9")
        if not 1 <= count <= VALUES_MAX or isinstance(kind, Array):
            raise _fault(f"?{shown} has {count:,} values; a hole has at most {VALUES_MAX} scalars")
        holes.append(Hole(shown, kind, tuple(values(kind))))
    params = [_param(program, n, h) for n, h in zip(names, holes, strict=True)]
    checked = check_code(program.task, s.Code((*params, *code.slots)))
    return Sketch(code, tuple(holes), tuple(names), checked, _lazy(checked, set(names)))


def _fault(message: str, hint: str | None = None) -> DslError:
    return DslError((Diagnostic("G070", message, help=hint),))


def _prefix(text: str, program: Program) -> str:
    """What names of holes begin with, and no other name does."""
    words = identifiers(program) | set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text))
    prefix = "hole_"
    while any(word.startswith(prefix) for word in words):
        prefix += "_"
    return prefix


def _as_items(text: str, prefix: str) -> str:
    """The text with names for holes, and with params, of no value yet, for `?name: type` among the items."""
    parts: list[str] = []
    at = depth = 0
    for match in re.finditer(r"[{}]|" + _HOLE.pattern, text):
        if match.start() < at:
            continue
        if match[0] in "{}":
            depth += 1 if match[0] == "{" else -1
            continue
        parts += [text[at : match.start()], prefix + match[1]]
        at = match.end()
        colon = re.compile(r"\s*:").match(text, at)
        if depth == 0 and colon is not None:
            ends = [m.start() for p in (_ITEM, _HOLE) if (m := p.search(text, colon.end()))]
            end = min(ends, default=len(text))
            kind = text[colon.end() : end].rstrip()
            parts[-1] = f"param {prefix}{match[1]}: {kind} = false "
            at = end
    return "".join([*parts, text[at:]])


def _reads(tree: s.Node, prefix: str) -> bool:
    return any(isinstance(n, s.Name) and n.name.startswith(prefix) for n in s.walk(tree))


def _param(program: Program, name: str, hole: Hole) -> s.Param:
    return s.Param(name, written(hole.kind), literal(program, hole.kind, hole.values[0]))


def _lazy(program: Program, holes: set[str]) -> dict[str, Callable[[Evaluator], Any]]:
    """How the params and tables are worked out that read holes, or read what does."""
    reading, found = set(holes), dict[str, Callable[[Evaluator], Any]]()
    builder = ScopeBuilder(scope_of(program.names), program.names, Faults())
    slots = [i for i in program.code.slots if isinstance(i, s.Param | s.Table)]
    functions = {name: f.body for name, f in program.names.functions.items()}
    changed = True
    while changed:
        changed = False
        trees = [(i.name, cast(s.Node, i.value)) for i in slots]
        for name, tree in (*trees, *functions.items()):
            if name in reading or not any(
                isinstance(n, s.Name | s.Call) and n.name in reading for n in s.walk(tree)
            ):
                continue
            reading.add(name)
            changed = True
    for slot in slots:
        if slot.name in reading and slot.name not in holes:
            tree = elaborate(builder, slot.value, program.names.types[slot.name], {})
            found[slot.name] = partial(_worked_out, tree)
    return found


# --- types by place ------------------------------------------------------------------------------


class _Places:
    """Works out which type the place of each hole asks for."""

    def __init__(
        self,
        program: Program,
        items: tuple[s.Slot, ...],
        declared: Mapping[str, s.TypeExpr],
        prefix: str,
    ) -> None:
        self.program, self.items, self.prefix = program, items, prefix
        self.builder = ScopeBuilder(scope_of(program.names), program.names, Faults())
        self.found: dict[str, Type] = {}
        for name, kind in declared.items():
            resolved = self._resolve(kind)
            if resolved is not None:
                self.found[name] = resolved
        self.known = set(self.found)

    def _resolve(self, kind: s.TypeExpr) -> Type | None:
        found = self.builder.resolve(kind)
        if self.builder.faults.found:
            raise DslError(tuple(self.builder.faults.found))
        return found

    def kinds(self) -> dict[str, Type]:
        """The type of each hole that has one."""
        self.slots: dict[str, Type] = dict(self.program.names.types)
        for item in self.items:
            if isinstance(item, s.Memory | s.Param | s.Table):
                kind = self._resolve(item.type)
                if kind is not None:
                    self.slots[item.name] = kind
        memories = {v.name: v.type for v in self.program.memories}
        memories.update(
            (i.name, self.slots[i.name])
            for i in self.items
            if isinstance(i, s.Memory) and i.name in self.slots
        )
        for item in self.items:
            match item:
                case s.Param() | s.Table():
                    self._visit(item.value, self.slots.get(item.name), {})
                case s.Def():
                    local = {p.name: self._resolve(p.type) for p in item.parameters}
                    known = {name: kind for name, kind in local.items() if kind is not None}
                    self._visit(item.body, self._resolve(item.result), known)
                case s.Policy():
                    self._policy(item, memories)
                case _:
                    pass
        return self.found

    def _policy(self, policy: s.Policy, memories: Mapping[str, Type]) -> None:
        actions = {v.name: v.type for v in self.program.task.actions}
        local = {v.name: v.type for v in self.program.task.observed} | dict(memories)
        for statement in policy.body:
            name, wanted = statement.name, None
            if isinstance(statement, s.Assign):
                wanted = actions.get(name)
            elif isinstance(statement, s.Next):
                wanted, name = memories.get(name), name + "'"
            self._visit(statement.value, wanted, local)
            kind = wanted or self._type_of(statement.value, local)
            if kind is not None:
                local[name] = kind

    def _type_of(self, expr: s.Expr, local: Mapping[str, Type]) -> Type | None:
        """The type of an expression, with its range where it is a name or is looked up."""
        match expr:
            case s.Name(name):
                return (
                    local.get(name)
                    or self.slots.get(name)
                    or self.found.get(name)
                    or self._member(name)
                )
            case s.Primed(name):
                return local.get(name + "'")
            case s.Index(array, _):
                kind = self._type_of(array, local)
                return kind.item if isinstance(kind, Array) else None
            case _:
                scope = {**self.slots, **self.found, **local}
                return self.builder.kind_of(expr, scope)

    def _member(self, name: str) -> Type | None:
        owners = [e for e in self.program.names.enums.values() if name in e.members]
        return owners[0] if len(owners) == 1 else None

    def _visit(self, expr: s.Node | None, wanted: Type | None, local: Mapping[str, Type]) -> None:
        if expr is None or not _reads(expr, self.prefix):
            return
        match expr:
            case s.Name(name):
                self._meet(name, wanted)
            case s.If(test, then, otherwise):
                self._visit(test, Bool(), local)
                for branch in (then, otherwise):
                    self._visit(branch, wanted, local)
            case s.Let(name, value, body):
                self._visit(value, None, local)
                kind = self._type_of(value, local)
                self._visit(body, wanted, {**local, name: kind} if kind else local)
            case s.Match(subject, arms, otherwise):
                self._visit(subject, None, local)
                for arm in arms:
                    self._visit(arm.body, wanted, local)
                self._visit(otherwise, wanted, local)
            case s.Unary("not", operand):
                self._visit(operand, Bool(), local)
            case s.Binary("and" | "or" | "implies", left, right):
                self._visit(left, Bool(), local)
                self._visit(right, Bool(), local)
            case s.Compare(_, operands):
                beside = (self._type_of(o, local) for o in operands if not _reads(o, self.prefix))
                kind = next((k for k in beside if k is not None), None)
                for operand in operands:
                    self._visit(operand, kind, local)
            case s.Index(array, index):
                kind = self._type_of(array, local)
                self._visit(array, None, local)
                if isinstance(kind, Array):
                    self._visit(index, kind.index or Int(0, kind.length - 1), local)
                else:
                    self._visit(index, None, local)
            case s.ArrayLit(entries):
                for entry in entries:
                    self._visit(entry, wanted.item if isinstance(wanted, Array) else None, local)
            case s.Call(name, args) if name in self.program.names.functions:
                function = self.program.names.functions[name]
                for parameter, arg in zip(function.parameters, args, strict=False):
                    self._visit(arg, parameter.type, local)
            case s.Call("min" | "max" | "clamp", args):
                for arg in args:
                    self._visit(arg, wanted, local)
            case s.Call(name, args) if name in self.program.names.enums:
                members = self.program.names.enums[name].members
                for arg in args:
                    self._visit(arg, Int(0, len(members) - 1), local)
            case _:
                for child in s.children(expr):
                    self._visit(child, None, local)

    def _meet(self, name: str, wanted: Type | None) -> None:
        """A hole where a type is asked for; of several ranges the first counts."""
        if not name.startswith(self.prefix) or name in self.known or wanted is None:
            return
        before = self.found.get(name)
        if before is None or (cardinality(before) is None and cardinality(wanted) is not None):
            self.found[name] = wanted
        elif without_ranges(before) != without_ranges(wanted):
            shown = name[len(self.prefix) :]
            raise _fault(f"the places of ?{shown} ask for different types", f"?{shown}: type")
