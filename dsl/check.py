"""Check a machine: names, types, constants, work; from syntax to a `Task` and the `Program` that acts in it."""

from __future__ import annotations

from typing import Any

from dsl import syntax as s
from dsl.check_environment import EnvironmentChecker, check_starts, hide_all
from dsl.check_utility import check_utility
from dsl.codec import digest_node
from dsl.errors import DslError
from dsl.infer import UNKNOWN, Faults, Scope, Signature
from dsl.interp import Globals
from dsl.limits import check_depth
from dsl.machine import Program, Task
from dsl.scope import ScopeBuilder, show_work
from dsl.types import Type
from dsl.work import WORK_MAX, WorkMeter


def check_machine(machine: s.Machine) -> tuple[Task, Program]:
    """The task and the program of a machine; raises DslError with every fault."""
    task = check_declarations(machine.declarations)
    return task, check_code(task, machine.agent)


def check_declarations(declarations: s.Declarations) -> Task:
    """Everything declared, checked; raises DslError with every fault."""
    _require_shallow(declarations)
    faults = Faults()
    top = ScopeBuilder(Scope(), Globals(), faults)
    for item in declarations.items:
        if isinstance(item, s.Enum):
            top.declare_enum(item)
    hide_all(top, declarations.environment, "it is declared inside the environment")
    top.declare_items([i for i in declarations.items if not isinstance(i, s.Enum)])
    utility = check_utility(top, declarations.utility)
    top.scope.hidden.clear()
    checker = EnvironmentChecker(top, declarations.environment)
    task = checker.task(declarations, utility)
    if faults.found or task is None:
        raise DslError(tuple(faults.found))
    check_starts(task, faults)
    if faults.found:
        raise DslError(tuple(faults.found))
    return task


def check_code(task: Task, code: s.Code) -> Program:
    """Code that acts in a task, checked; raises DslError with every fault."""
    _require_shallow(code)
    faults = Faults()
    inner = ScopeBuilder(_scope_of(task), task.shared, faults)
    inner.calls, inner.nestings = _measures(task)
    observed = {v.name: v.type for v in task.observed}
    decided = {v.name for v in task.actions}
    for slot in code.slots:
        if slot.name in observed or slot.name in decided:
            what = "an action" if slot.name in decided else "a state variable"
            faults.add("G007", f"{slot.name} is already the name of {what}", slot, name=0)
    why = "definitions of code read constants; hand it over as a parameter of a def"
    hide_all(inner, task.declarations.environment, why)
    inner.declare_items([slot for slot in code.slots if not isinstance(slot, s.Policy)])
    inner.scope.hidden.clear()
    policies = [slot for slot in code.slots if isinstance(slot, s.Policy)]
    main = [slot for slot in code.slots if slot.name == "main" and slot not in policies]
    if len(policies) != 1 or policies[0].name != "main":
        faults.add("G004", "code needs exactly one policy", code, name=0)
    elif main:
        faults.add("G007", "main is already the name of the policy", main[0], name=0)
    else:
        _hide(inner, task, observed)
        _check_policy(inner, task, policies[0], observed)
    if faults.found:
        raise DslError(tuple(faults.found))
    return Program(code, digest_node(code), s.count_nodes(code), inner.names(), {"main": policies[0]}, task)


def check_expression(names: Globals, expr: s.Expr, local: dict[str, Type]) -> Type:
    """The type of an expression over constants and local names; raises DslError."""
    faults = Faults()
    builder = ScopeBuilder(_scope_of_globals(names), names, faults)
    kind = builder.infer(expr, local)
    if kind is not None and not faults.found:
        for name, function in names.functions.items():
            work = builder.bounded_work(function.body, _parameters(function), name)
            builder.calls[name], builder.nestings[name] = work, builder.nesting(function.body)
        builder.bounded_work(expr, local, "this expression")
    if faults.found or kind is None:
        raise DslError(tuple(faults.found))
    return kind


def _require_shallow(tree: s.Declarations | s.Code) -> None:
    """Raise DslError for a tree, from whatever source, that is too deep to be evaluated."""
    faults = check_depth(tree)
    if faults:
        raise DslError(tuple(faults))


def _parameters(function: Any) -> dict[str, Type]:
    return {p.name: p.type for p in function.parameters}


def _scope_of(task: Task) -> Scope:
    return _scope_of_globals(task.shared)


def _scope_of_globals(names: Globals) -> Scope:
    scope = Scope(enums=dict(names.enums), types=dict(names.types), constants=set(names.types))
    for name in names.types:
        scope.words[name] = "a table" if name in names.tables else "a const"
    for enum in names.enums.values():
        for member in enum.members:
            scope.members.setdefault(member, []).append(enum)
    for function in names.functions.values():
        scope.signatures[function.name] = Signature(function.parameters, function.result)
    return scope


def _measures(task: Task) -> tuple[dict[str, int], dict[str, int]]:
    """The work of the bodies of the functions that code may call, and how deep they nest."""
    builder = ScopeBuilder(_scope_of(task), task.shared, Faults())
    meter = WorkMeter(builder, builder.calls)
    for function in task.shared.functions.values():
        builder.calls[function.name] = meter.work(function.body, _parameters(function))
        builder.nestings[function.name] = builder.nesting(function.body)
    return builder.calls, builder.nestings


def _hide(inner: ScopeBuilder, task: Task, observed: dict[str, Type]) -> None:
    hidden = inner.scope.hidden
    for v in task.states:
        hidden[v.name + "'"] = "code decides before the step"
        if v.name not in observed:
            hidden[v.name] = "it is not observed"
    for v in task.chances:
        hidden[v.name] = "chance is drawn after the policy has decided"
    for v in task.actions:
        hidden[v.name] = "an action is read below its assignment"
    for item in task.declarations.environment.items:
        if isinstance(item, s.Define):
            hidden[item.name] = "code cannot read the environment's lets"
        elif isinstance(item, (s.Const, s.Table, s.Def)):
            hidden[item.name] = "it is declared inside the environment; move it to the top level"


def _check_policy(
    inner: ScopeBuilder, task: Task, policy: s.Policy, observed: dict[str, Type]
) -> None:
    faults = inner.faults
    actions = {v.name: v.type for v in task.actions}
    inner.scope.types.update(observed)
    inner.scope.words.update(dict.fromkeys(observed, "a state variable"))
    inner.scope.words.update(dict.fromkeys(actions, "an action"))

    local: dict[str, Type] = {}
    misspelt: set[str | None] = set()
    assigned: set[str] = set()
    work = 0
    for statement in policy.body:
        name, value = statement.name, statement.value
        if isinstance(statement, s.Define):
            inner.declare(name, local, statement)
            kind = inner.infer(value, local)
        elif name in actions:
            kind = _check_assignment(inner, statement, actions, assigned, local)
        else:
            inner.infer(value, local)
            misspelt.add(_refuse_assignment(inner, statement, actions, local))
            continue
        if not faults.found:
            work += inner.bounded_work(value, local, f"the value of {name}")
        local[name] = UNKNOWN if kind is None else kind
    for name in actions:
        if name not in assigned and name not in misspelt:
            faults.add("G023", f"the policy never assigns {name}", policy, name=0)
    if work > WORK_MAX and not faults.found:
        faults.add("G018", f"the policy may take {show_work(work)}", policy, name=0)


def _check_assignment(
    inner: ScopeBuilder,
    statement: s.Assign,
    actions: dict[str, Type],
    assigned: set[str],
    local: dict[str, Type],
) -> Type | None:
    name = statement.name
    if name in assigned:
        inner.faults.add("G023", f"{name} is assigned twice", statement, name=0)
    assigned.add(name)
    inner.expect(statement.value, actions[name], local, name)
    return actions[name]


def _refuse_assignment(
    inner: ScopeBuilder, statement: s.Assign, actions: dict[str, Type], local: dict[str, Type]
) -> str | None:
    """Report an assignment to what is no action; returns the action that was probably meant."""
    name = statement.name
    what = "a local value" if name in local else inner.scope.declared(name)
    if what is None:
        inner.scope.faulty.add(name)
        return inner.unknown(name, statement, actions, "action", index=0)
    message = f"{name} is {what}; a policy assigns actions"
    inner.faults.add("G023", message, statement, name=0)
    return None
