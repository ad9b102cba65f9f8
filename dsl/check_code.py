"""Check code: its definitions, its memory, and what every policy decides and keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from dsl import syntax as s
from dsl.check_environment import STATE_BITS_MAX, count_bits, hide_all
from dsl.codec import digest_node
from dsl.elaborate import elaborate
from dsl.errors import DslError
from dsl.infer import UNKNOWN, Faults, Scope, Signature
from dsl.interp import Globals, show_range
from dsl.limits import check_depth
from dsl.machine import MemoryTuple, Program, Reach, Task
from dsl.scope import ScopeBuilder, show_work
from dsl.types import Type, Variable, contains
from dsl.work import WORK_MAX, WorkMeter


def check_code(task: Task, code: s.Code) -> Program:
    """Code that acts in a task, checked; raises DslError with every fault."""
    require_shallow(code)
    checker = CodeChecker(task, code)
    program = checker.program()
    if program is None:
        raise DslError(tuple(checker.faults.found))
    return program


def require_shallow(tree: s.Declarations | s.Code) -> None:
    """Raise DslError for a tree, from whatever source, that is too deep to be evaluated."""
    faults = check_depth(tree)
    if faults:
        raise DslError(tuple(faults))


def scope_of(names: Globals) -> Scope:
    """The scope that reads exactly some names."""
    scope = Scope(enums=dict(names.enums), types=dict(names.types), constants=set(names.types))
    for name in names.types:
        scope.words[name] = "a table" if name in names.tables else "a const"
    for enum in names.enums.values():
        for member in enum.members:
            scope.members.setdefault(member, []).append(enum)
    for function in names.functions.values():
        scope.signatures[function.name] = Signature(function.parameters, function.result)
    return scope


@dataclass(slots=True)
class _Body:
    """What has been met of a policy so far: the types of its local names, what is assigned, its work."""

    policy: s.Policy
    local: dict[str, Type] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)
    misspelt: set[str | None] = field(default_factory=set)
    statements: list[s.Statement] = field(default_factory=list)
    work: int = 0

    @property
    def called(self) -> str:
        """The policy as a message names it."""
        return "the policy" if self.policy.name == "main" else f"the policy {self.policy.name}"


class CodeChecker:
    """Checks code slot by slot and collects its faults; `program` is what comes of it."""

    def __init__(self, task: Task, code: s.Code) -> None:
        self.task, self.code, self.faults = task, code, Faults()
        self.inner = ScopeBuilder(scope_of(task.shared), task.shared, self.faults)
        self.inner.calls, self.inner.nestings = _measures(task)
        self.observed = {v.name: v.type for v in task.observed}
        self.actions = {v.name: v.type for v in task.actions}
        self.memories: dict[str, Type] = {}

    def program(self) -> Program | None:
        """The program, or None with faults reported."""
        self._definitions()
        starts = self._memory()
        policies = self._policies()
        bodies = [self._policy(policy) for policy in policies]
        self._promised(policies)
        if self.faults.found:
            return None
        costs = dict(self.task.utility.costs)
        return Program(
            code=self.code,
            digest=digest_node(self.code),
            size=s.count_nodes(self.code),
            names=replace(self.inner.names(), prices=costs),
            policies={policy.name: policy for policy in bodies},
            task=self.task,
            memories=tuple(Variable(name, kind) for name, kind in self.memories.items()),
            memory_start=starts,
        )

    def _definitions(self) -> None:
        states = {v.name for v in self.task.states}
        for slot in self.code.slots:
            visible = slot.name in self.observed or slot.name in self.actions
            if visible or (isinstance(slot, s.Memory) and slot.name in states):
                what = "an action" if slot.name in self.actions else "a state variable"
                message = f"{slot.name} is already the name of {what}"
                self.faults.add("G007", message, slot, name=0)
        why = "definitions of code read constants; hand it over as a parameter of a def"
        hide_all(self.inner, self.task.declarations.environment, why, reasons=self._unseen())
        memories = [slot for slot in self.code.slots if isinstance(slot, s.Memory)]
        self.inner.scope.hidden.update(dict.fromkeys((m.name for m in memories), why))
        kinds = (s.Param, s.Table, s.Def)
        self.inner.declare_items([slot for slot in self.code.slots if isinstance(slot, kinds)])

    def _unseen(self) -> dict[str, str]:
        """Why code reads nothing that depends on unknowns, adversaries and chance."""
        task = self.task
        why = dict.fromkeys(
            (v.name for v in (*task.unknowns, *task.rationals)),
            "nobody knows an unknown of the world",
        )
        for v in (*task.adversaries, *task.rates):
            why[v.name] = "the adversary chooses after the policy has decided"
        for v in task.chances:
            why[v.name] = "chance is drawn after the policy has decided"
        return why

    # --- memory ----------------------------------------------------------------------------------

    def _memory(self) -> MemoryTuple:
        """The memory's start values; the types stand in `memories`. Nothing that changes is readable yet."""
        starts: list[Any] = []
        hidden = self.inner.scope.hidden
        why = "memory starts are constant expressions"
        hidden.update(dict.fromkeys(hidden, why))
        found: dict[str, Type] = {}
        for slot in self.code.slots:
            if not isinstance(slot, s.Memory):
                continue
            kind = self.inner.resolve_finite(slot.type, "a memory variable")
            start = None if kind is None else self._start(slot, kind)
            if self.inner.take(slot.name, slot, "a memory variable"):
                found[slot.name] = UNKNOWN if kind is None else kind
                starts.append(start)
        hidden.clear()
        self.memories.update(found)
        if count_bits((*self.task.states, *self._variables())) > STATE_BITS_MAX:
            message = f"more than {STATE_BITS_MAX:,} bits of state and memory"
            self.faults.add("G003", message, self.code, name=0)
        return tuple(starts)

    def _variables(self) -> tuple[Variable, ...]:
        return tuple(Variable(name, kind) for name, kind in self.memories.items())

    def _start(self, slot: s.Memory, kind: Type) -> Any:
        what = f"the start of {slot.name}"
        before = len(self.faults.found)
        if not self.inner.expect(slot.start, kind, {}, what) or len(self.faults.found) > before:
            return None
        value = self.inner.constant_value(elaborate(self.inner, slot.start, kind, {}))
        if value is not None and not contains(kind, value):
            message = f"{what} may leave its range {show_range(kind)}"
            note = f"the value is {value}"
            self.faults.add("G012", message, slot.start, note=note)
        return value

    # --- policies --------------------------------------------------------------------------------

    def _policies(self) -> list[s.Policy]:
        """The policies, each of a name of its own, with their names taken."""
        policies = [slot for slot in self.code.slots if isinstance(slot, s.Policy)]
        named = [p for p in policies if p.name != "main"]
        for policy in named:
            self.inner.take(policy.name, policy, "a policy")
        main = [policy for policy in policies if policy.name == "main"]
        for extra in main[1:]:
            message = "a second policy without a name; code has exactly one"
            self.faults.add("G045", message, extra, name=0)
        taken = self.inner.scope.declared("main") if "main" not in self.task.shared.types else None
        if not main:
            message = "code needs exactly one policy without a name, which acts"
            hint = f"leave out the name {named[0].name}" if len(named) == 1 else None
            self.faults.add("G045", message, self.code, name=0, help=hint)
        elif taken and (self.code.slot("main") is not main[0] or len(self._called("main")) > 1):
            other = next(slot for slot in self._called("main") if slot is not main[0])
            self.faults.add("G007", "main is already the name of the policy", other, name=0)
        return policies

    def _called(self, name: str) -> list[s.Slot]:
        return [slot for slot in self.code.slots if slot.name == name]

    def _promised(self, policies: list[s.Policy]) -> None:
        """Report the policies that requirements use and the code does not have."""
        names = [policy.name for policy in policies]
        for requirement in self.task.requirements:
            if not isinstance(requirement, Reach) or requirement.policy in names:
                continue
            if requirement.policy == "main":
                continue  # reported already
            near = next(iter(get_close_matches(requirement.policy, names, n=1)), None)
            hint = f"did you mean {near}?" if near else f"policy {requirement.policy} {{ … }}"
            message = f"the requirement {requirement.name} uses a policy {requirement.policy}, which the code does not have"
            self.faults.add("G062", message, self.code, name=0, help=hint)

    def _policy(self, policy: s.Policy) -> s.Policy:
        """The policy with its operations on bits made explicit."""
        outer = self.inner
        inner = self.inner = ScopeBuilder.extending(outer)
        self._open(inner)
        body = _Body(policy)
        for statement in policy.body:
            self._statement(body, statement)
        self.inner = outer
        for name in self.actions:
            if name not in body.assigned and name not in body.misspelt:
                message = f"{body.called} never assigns {name}"
                self.faults.add("G023", message, policy, name=0)
        if body.work > WORK_MAX and not self.faults.found:
            message = f"{body.called} may take {show_work(body.work)}"
            self.faults.add("G018", message, policy, name=0)
        return replace(policy, body=tuple(body.statements))

    def _open(self, inner: ScopeBuilder) -> None:
        """Let a policy read what it may, and say why it may read nothing else."""
        scope, task = inner.scope, self.task
        for item in task.declarations.environment.items:
            if isinstance(item, s.Define):
                scope.hidden[item.name] = "code cannot read the environment's lets"
            elif isinstance(item, (s.Const, s.Table, s.Def)):
                why = "it is declared inside the environment; move it to the top level"
                scope.hidden[item.name] = why
        for v in task.states:
            scope.hidden[v.name + "'"] = "code decides before the step"
            if v.name not in self.observed:
                scope.hidden[v.name] = "it is not observed"
        scope.hidden.update(self._unseen())
        for v in task.actions:
            scope.hidden[v.name] = "an action is read below its assignment"
        for name in self.memories:
            scope.hidden[name + "'"] = "the next value of memory is read below its assignment"
        scope.types.update(self.observed)
        scope.types.update(self.memories)
        scope.words.update(dict.fromkeys(self.observed, "a state variable"))
        scope.words.update(dict.fromkeys(self.actions, "an action"))

    # --- statements ------------------------------------------------------------------------------

    def _statement(self, body: _Body, statement: s.Statement) -> None:
        name, value = statement.name, statement.value
        kind: Type | None
        match statement:
            case s.Define():
                self.inner.declare(name, body.local, statement)
                wanted, kind = None, self.inner.infer(value, body.local)
                key, what = name, f"the value of {name}"
            case s.Next() if name in self.memories:
                wanted = kind = self.memories[name]
                key = what = name + "'"
                self._once(body, key, statement)
                self.inner.expect(value, kind, body.local, what)
            case s.Assign() if name in self.actions:
                wanted = kind = self.actions[name]
                key, what = name, f"the value of {name}"
                self._once(body, key, statement)
                self.inner.expect(value, kind, body.local, name)
            case _:
                self.inner.infer(value, body.local)
                body.misspelt.add(self._refuse(body, statement))
                return
        tree = value
        if not self.faults.found:
            tree = elaborate(self.inner, value, wanted, dict(body.local))
            body.work += self.inner.bounded_work(tree, body.local, what)
        body.statements.append(statement if tree is value else replace(statement, value=tree))
        body.local[key] = UNKNOWN if kind is None else kind

    def _once(self, body: _Body, key: str, statement: s.Statement) -> None:
        if key in body.assigned:
            code = "G057" if isinstance(statement, s.Next) else "G023"
            self.faults.add(code, f"{key} is assigned twice", statement, name=0)
        body.assigned.add(key)

    def _refuse(self, body: _Body, statement: s.Statement) -> str | None:
        """Report an assignment to what is no action and no memory; returns the action that was probably meant."""
        name = statement.name
        what = "a local value" if name in body.local else self.inner.scope.declared(name)
        if isinstance(statement, s.Next):
            self._refuse_next(statement, what)
            return name if name in self.actions else None
        if name in self.memories:
            message = f"{name} is a memory variable; a policy assigns its next value"
            self.faults.add("G057", message, statement, name=0, help=f"{name}' = …")
            return None
        if what is None:
            self.inner.scope.faulty.add(name)
            hint = None if get_close_matches(name, self.actions, n=1) else f"let {name} = …"
            return self.inner.unknown(name, statement, self.actions, "action", index=0, hint=hint)
        message = f"{name} is {what}; a policy assigns actions"
        self.faults.add("G023", message, statement, name=0)
        return None

    def _refuse_next(self, statement: s.Next, what: str | None) -> None:
        name = statement.name
        self.inner.scope.faulty.add(name + "'")
        states = {v.name for v in self.task.states}
        if name in states:
            what = "a state variable"
        if what is None:
            self.inner.unknown(name, statement, self.memories, "memory variable", index=0)
            return
        hint = f"{name} = …" if name in self.actions else None
        if name in states:
            hint = "the environment says how the state changes"
        message = f"{name} is {what}; only memory variables get a next value in a policy"
        self.faults.add("G057", message, statement, name=0, help=hint)


def _measures(task: Task) -> tuple[dict[str, int], dict[str, int]]:
    """The work of the bodies of the functions that code may call, and how deep they nest."""
    builder = ScopeBuilder(scope_of(task.shared), task.shared, Faults())
    meter = WorkMeter(builder, builder.calls)
    for function in task.shared.functions.values():
        local = {p.name: p.type for p in function.parameters}
        builder.calls[function.name] = meter.work(function.body, local)
        builder.nestings[function.name] = builder.nesting(function.body)
    return builder.calls, builder.nestings
