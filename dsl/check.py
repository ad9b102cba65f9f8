"""Check a machine: names, types, constants, work; from syntax to a `Task` and the `Program` that acts in it."""

from __future__ import annotations

from dataclasses import replace

from dsl import syntax as s
from dsl.check_code import check_code, require_shallow, scope_of
from dsl.check_environment import EnvironmentChecker, hide_all
from dsl.check_starts import check_starts
from dsl.check_utility import check_utility
from dsl.elaborate import elaborate
from dsl.errors import Diagnostic, DslError
from dsl.infer import Faults, Scope
from dsl.interp import Globals
from dsl.machine import Program, Task
from dsl.scope import ScopeBuilder
from dsl.search import explain_unknown, search_machine
from dsl.span import span_of_name
from dsl.types import Type

__all__ = ["check_code", "check_declarations", "check_expression", "check_machine"]


def check_machine(machine: s.Machine) -> tuple[Task, Program]:
    """The task and the program of a machine, whose search is checked too; raises DslError with every fault."""
    found: list[Diagnostic] = []
    task = program = None
    try:
        task = check_declarations(machine.declarations)
        program = check_code(task, machine.agent)
    except DslError as error:
        if task is None:
            found += (_of_code(d, machine.agent) for d in error.diagnostics)
        else:
            found += (_of_requirement(d, machine.declarations) for d in error.diagnostics)
    try:
        search = search_machine(machine)
        if search is not None:
            check_machine(search)
    except DslError as error:
        of_search = (explain_unknown(d, machine) for d in error.diagnostics)
        found += (d for d in of_search if d not in found)
    if found or task is None or program is None:
        raise DslError(tuple(found))
    return task, program


def check_declarations(declarations: s.Declarations) -> Task:
    """Everything declared, checked; raises DslError with every fault."""
    require_shallow(declarations)
    faults = Faults()
    top = ScopeBuilder(Scope(), Globals(), faults)
    for item in declarations.items:
        if isinstance(item, s.Enum):
            top.declare_enum(item)
    hide_all(top, declarations.environment, "it is declared inside the environment")
    top.declare_items([i for i in declarations.items if not isinstance(i, s.Enum)])
    utility = check_utility(top, declarations.utility)
    top.scope.hidden.clear()
    task = EnvironmentChecker(top, declarations.environment).task(declarations, utility)
    if task is not None and not faults.found:
        check_starts(task, faults)
    if faults.found or task is None:
        raise DslError(tuple(faults.found))
    return task


def _of_code(diagnostic: Diagnostic, code: s.Code) -> Diagnostic:
    """What is said of an unknown name in the declarations, where it is the name of a slot of the code."""
    for slot in code.slots:
        if diagnostic.message in (f"unknown name {slot.name}", f"unknown function {slot.name}"):
            what = "memory" if isinstance(slot, s.Memory) else f"a {type(slot).__name__.lower()}"
            message = f"{slot.name} cannot be read here: it is {what} of the code, and no declaration reads code"
            return replace(diagnostic, code="G011", message=message, help=None)
    return diagnostic


def _of_requirement(diagnostic: Diagnostic, declarations: s.Declarations) -> Diagnostic:
    """What is said of a policy that is missing, where a requirement uses it."""
    for item in declarations.requirements:
        if diagnostic.code == "G062" and isinstance(item, s.Reach):
            if diagnostic.message.startswith(
                f"the requirement {item.name} uses a policy {item.policy},"
            ):
                return replace(diagnostic, span=span_of_name(item.span, 1))
    return diagnostic


def check_expression(names: Globals, expr: s.Expr, local: dict[str, Type]) -> tuple[Type, s.Expr]:
    """The type of an expression over constants and local names, and the tree to evaluate; raises DslError."""
    faults = Faults()
    builder = ScopeBuilder(scope_of(names), names, faults)
    kind = builder.infer(expr, local)
    if kind is not None and not faults.found:
        expr = elaborate(builder, expr, None, local)
        for name, function in names.functions.items():
            inner = {p.name: p.type for p in function.parameters}
            work = builder.bounded_work(function.body, inner, name)
            builder.calls[name], builder.nestings[name] = work, builder.nesting(function.body)
        builder.bounded_work(expr, local, "this expression")
    if faults.found or kind is None:
        raise DslError(tuple(faults.found))
    return kind, expr
