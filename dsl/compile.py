"""The second evaluator: trees become Python functions with the same values and ticks as `dsl.interp`, only faster.

The functions are built as Python's own syntax trees and never as text. Every name in them is numbered here and every
constant is an object, so that nothing a machine file holds can become Python code. Ranges, indices and divisors are not
checked again: only programs and declarations that the kernel has proved total may be compiled. Untrusted: what is claimed is
worked out by the interpreter.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

from dsl import syntax as s
from dsl.interp import Evaluator, Function, Globals
from dsl.machine import (
    ActionTuple,
    Decision,
    MemoryTuple,
    Outcome,
    Program,
    ReplyTuple,
    StateTuple,
    Task,
    UnknownTuple,
)
from dsl.polynomial import Polynomial, Weight
from dsl.scope import names_read
from dsl.types import Value, values

LOOPS_MAX = 12
"""Loops inside loops of one Python function; Python itself allows 20 blocks."""

Py: TypeAlias = ast.expr
Local: TypeAlias = Mapping[str, str]
"""Python names of the names that an expression may read."""
Draw: TypeAlias = tuple[tuple[Value, ...], Weight, Weight, StateTuple]
"""One draw of a step: the values of the chance variables, its weight, the reward, the next state."""


# --- what is compiled ----------------------------------------------------------------------------


def compile_expression(
    expr: s.Expr, names: Globals, parameters: Iterable[str], *, counts: bool = False
) -> Callable[..., Any]:
    """A function of the named parameters, in order: the value of an expression, with `counts` a pair of it and its ticks."""
    unit = _Unit(names, counts=counts)
    return unit.function(expr, tuple(parameters))


@dataclass(slots=True)
class CompiledTask:
    """The step of a world; what `Task.outcomes`, `is_done` and `replies` give, from functions."""

    task: Task
    _step: Callable[..., dict[Any, Any]]
    _done: Callable[..., Any] | None
    _allowed: Callable[..., Any] | None
    _symbols: tuple[Polynomial, ...]
    _every: tuple[ReplyTuple, ...] | None = None
    _draws: Callable[..., list[Draw]] | None = None

    def is_done(self, state: StateTuple, unknowns: UnknownTuple = ()) -> bool:
        """Whether the episode has ended in this state."""
        return self._done is not None and bool(self._done(*state, *unknowns))

    def replies(
        self, state: StateTuple, actions: ActionTuple, unknowns: UnknownTuple = ()
    ) -> tuple[ReplyTuple, ...]:
        """What the adversary may choose."""
        allowed = self._allowed
        if allowed is None:
            return ((),)
        if self._every is None:
            self._every = tuple(product(*(tuple(values(v.type)) for v in self.task.adversaries)))
        return tuple(r for r in self._every if allowed(*state, *actions, *r, *unknowns))

    def draws(
        self,
        state: StateTuple,
        actions: ActionTuple,
        unknowns: UnknownTuple = (),
        reply: ReplyTuple = (),
    ) -> list[Draw]:
        """Each joint value of the chance variables, its weight, the reward and the next state."""
        if self._draws is None:
            self._draws = _compile_step(self.task, listed=True)
        found = self._draws(*state, *actions, *reply, *unknowns, *self._symbols)
        return [(v, _exact(w), _exact(r), x) for v, w, r, x in found if w != 0]

    def outcomes(
        self,
        state: StateTuple,
        actions: ActionTuple,
        unknowns: UnknownTuple = (),
        reply: ReplyTuple = (),
    ) -> tuple[Outcome, ...]:
        """Every draw of chance in one step whose weight is not identically 0."""
        found = self._step(*state, *actions, *reply, *unknowns, *self._symbols)
        return tuple(
            Outcome(w if isinstance(w, Polynomial) else Fraction(w), _exact(r), x)
            for (r, x), w in found.items()
            if w != 0
        )


@dataclass(slots=True)
class CompiledProgram:
    """The policies of a program as functions."""

    program: Program
    _policies: Mapping[str, Callable[..., Any]]
    _observed: tuple[int, ...]
    _actions: int

    def act(
        self, state: StateTuple, memory: MemoryTuple | None = None, *, policy: str = "main"
    ) -> Decision:
        """What `Program.act` gives."""
        kept = self.program.memory_start if memory is None else memory
        found = self._policies[policy](*[state[i] for i in self._observed], *kept)
        n = self._actions
        return Decision(found[:n], found[n:-1], found[-1])


def _exact(value: Any) -> Any:
    return value if isinstance(value, Polynomial) else Fraction(value)


_tasks: WeakKeyDictionary[Task, CompiledTask] = WeakKeyDictionary()
_programs: WeakKeyDictionary[Program, CompiledProgram] = WeakKeyDictionary()


def compile_task(task: Task) -> CompiledTask:
    """The compiled step of a task, made once."""
    if task not in _tasks:
        _tasks[task] = _compile_task(task)
    return _tasks[task]


def compile_program(program: Program) -> CompiledProgram:
    """The compiled policies of a program, made once."""
    if program not in _programs:
        _programs[program] = _compile_program(program)
    return _programs[program]


def _compile_task(task: Task) -> CompiledTask:
    unit = _Unit(task.names)
    states = [v.name for v in task.states]
    unknowns = [v.name for v in task.unknowns]
    symbols = [v.name for v in (*task.rationals, *task.rates)]
    chosen = [*(v.name for v in task.actions), *(v.name for v in task.adversaries)]
    done = None if task.done is None else unit.function(task.done, (*states, *unknowns))
    allowed = None
    if task.adversaries:
        conditions = list(task.adversary_conditions) or [s.BoolLit(True)]
        joint = conditions[0]
        for condition in conditions[1:]:
            joint = s.Binary("and", joint, condition)
        allowed = unit.function(joint, (*states, *chosen, *unknowns))
    step = _compile_step(task, listed=False)
    return CompiledTask(task, step, done, allowed, tuple(map(Polynomial.variable, symbols)))


def _compile_step(task: Task, *, listed: bool) -> Callable[..., Any]:
    """One step: its draws one by one where they are `listed`, else the weight of each reward and next state."""
    groups = (
        task.states,
        task.actions,
        task.adversaries,
        task.unknowns,
        task.rationals,
        task.rates,
    )
    parameters = tuple(v.name for group in groups for v in group)
    return _Unit(task.names).step(task, parameters, listed)


def _compile_program(program: Program) -> CompiledProgram:
    unit = _Unit(program.names, counts=True)
    observed = tuple(v.name for v in program.task.observed)
    memory = tuple(v.name for v in program.memories)
    places = {v.name: i for i, v in enumerate(program.task.states)}
    policies = {
        name: unit.policy(program, policy, (*observed, *memory))
        for name, policy in program.policies.items()
    }
    return CompiledProgram(
        program, policies, tuple(places[n] for n in observed), len(program.task.actions)
    )


# --- building Python's trees ---------------------------------------------------------------------


def _name(name: str) -> Py:
    return ast.Name(name, ast.Load())


def _target(name: str) -> ast.Name:
    return ast.Name(name, ast.Store())


def _constant(value: int | bool) -> Py:
    return ast.Constant(value)


def _assign(name: str, value: Py) -> ast.stmt:
    return ast.Assign([_target(name)], value)


def _add(name: str, value: Py) -> ast.stmt:
    return ast.AugAssign(_target(name), ast.Add(), value)


def _call(function: str, *args: Py) -> Py:
    return ast.Call(_name(function), list(args), [])


def _tuple(items: Iterable[Py]) -> Py:
    return ast.Tuple(list(items), ast.Load())


def _item(of: Py, index: Py) -> Py:
    return ast.Subscript(of, index, ast.Load())


def _binary(left: Py, op: ast.operator, right: Py) -> Py:
    return ast.BinOp(left, op, right)


def _loop(var: Py, over: Py, body: list[ast.stmt]) -> ast.stmt:
    return ast.For(var, over, body, [])


def _range(first: int, last: int) -> Py:
    return _call("range", _constant(first), _constant(last + 1))


def _divide(left: Any, right: Any) -> Any:
    return left / right if isinstance(left, Polynomial) else Fraction(left, right)


def _clamp(value: Any, low: Any, high: Any) -> Any:
    high = min(value, high)
    return max(low, high)


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def _ashr(value: int, amount: int, width: int) -> int:
    return (_signed(value, width) >> min(amount, width)) & ((1 << width) - 1)


def _shl(value: int, amount: int, width: int) -> int:
    return (value << amount) & ((1 << width) - 1) if amount < width else 0


def _shr(value: int, amount: int, width: int) -> int:
    return value >> amount if amount < width else 0


def _sdiv(left: int, right: int, width: int) -> int:
    a, b = _signed(left, width), _signed(right, width)
    found = abs(a) // abs(b)
    return (found if (a < 0) == (b < 0) else -found) & ((1 << width) - 1)


def _srem(left: int, right: int, width: int) -> int:
    a, b = _signed(left, width), _signed(right, width)
    found = abs(a) % abs(b)
    return (-found if a < 0 else found) & ((1 << width) - 1)


def _floor(value: Any) -> int:
    return cast(int, value.__floor__())


_RUNTIME: Mapping[str, Any] = {
    "divide": _divide,
    "clamp": _clamp,
    "signed": _signed,
    "ashr": _ashr,
    "shl": _shl,
    "shr": _shr,
    "sdiv": _sdiv,
    "srem": _srem,
    "floor": _floor,
    "min": min,
    "max": max,
    "abs": abs,
    "range": range,
    "tuple": tuple,
    "list": list,
}

_ARITHMETIC: Mapping[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "div": ast.FloorDiv,
    "mod": ast.Mod,
}
_COMPARISONS: Mapping[str, type[ast.cmpop]] = {
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
    "==": ast.Eq,
    "!=": ast.NotEq,
}


@dataclass(frozen=True, slots=True)
class _Code:
    """An expression that is compiled: a Python expression, and how many ticks it takes beside those added on the way."""

    value: Py
    ticks: int


@dataclass(slots=True)
class _Block:
    """Statements under construction inside one Python function."""

    unit: _Unit
    statements: list[ast.stmt] = field(default_factory=list)
    loops: int = 0

    def inner(self, *, loop: bool = False) -> _Block:
        return _Block(self.unit, [], self.loops + loop)

    def emit(self, statement: ast.stmt) -> None:
        self.statements.append(statement)

    def keep(self, value: Py) -> Py:
        """The value under a name of its own, unless it is a name or constant already."""
        if isinstance(value, ast.Name | ast.Constant):
            return value
        name = self.unit.fresh("t")
        self.emit(_assign(name, value))
        return _name(name)

    def charge(self, ticks: int) -> None:
        if ticks:
            self.emit(_add("ticks", _constant(ticks)))


class _Unit:
    """Functions over one scope; what they share stands in `globals`."""

    def __init__(self, names: Globals, *, counts: bool = False) -> None:
        self.names, self.counts, self.listed = names, counts, False
        self.globals: dict[str, Any] = {"__builtins__": {}, **_RUNTIME}
        self._numbers: dict[str, int] = {}
        self._constants: dict[str, str] = {}
        self._functions: dict[str, str] = {}
        self._varies: dict[str, bool] = {}

    def fresh(self, word: str) -> str:
        """A name that no other part of the unit has."""
        self._numbers[word] = self._numbers.get(word, 0) + 1
        return f"{word}{self._numbers[word]}"

    def hold(self, value: Any) -> Py:
        """A constant object."""
        if type(value) in (bool, int):
            return _constant(value)
        name = self.fresh("k")
        self.globals[name] = value
        return _name(name)

    def price(self, operation: str, times: int = 1) -> int:
        """The ticks of an operation; 0 where they are not counted."""
        return times * self.names.prices.get(operation, 1) if self.counts else 0

    # --- functions -------------------------------------------------------------------------------

    def make(self, parameters: Iterable[str], body: list[ast.stmt]) -> str:
        """Define a Python function; returns its name."""
        name = self.fresh("f")
        arguments = ast.arguments([], [ast.arg(p) for p in parameters], None, [], [], None, [])
        function = ast.FunctionDef(name, arguments, body, [])
        module = ast.fix_missing_locations(ast.Module([function], []))
        exec(compile(module, "<machine>", "exec"), self.globals)
        return name

    def function(self, expr: s.Expr, parameters: tuple[str, ...]) -> Callable[..., Any]:
        """The function of an expression."""
        return cast(Callable[..., Any], self.globals[self._function(expr, parameters)])

    def _function(self, expr: s.Expr, parameters: tuple[str, ...]) -> str:
        local = {p: self.fresh("v") for p in parameters}
        block = self._open()
        self._give_back(expr, local, block, self.counts, 0)
        return self.make(local.values(), block.statements)

    def _open(self) -> _Block:
        block = _Block(self)
        if self.counts:
            block.emit(_assign("ticks", _constant(0)))
        return block

    def _give_back(
        self, expr: s.Expr, local: Local, block: _Block, counts: bool, ticks: int
    ) -> None:
        """Return the value of an expression; branches in this place become statements."""
        if isinstance(expr, s.If):
            test = self.value(expr.test, local, block)
            ticks += test.ticks + self.price("if")
            then, otherwise = block.inner(), block.inner()
            self._give_back(expr.then, local, then, counts, ticks)
            self._give_back(expr.otherwise, local, otherwise, counts, ticks)
            block.emit(ast.If(test.value, then.statements, otherwise.statements))
            return
        if isinstance(expr, s.Let):
            ticks += self.price("let")
            inner, bound = self._bind(expr.name, expr.value, local, block)
            self._give_back(expr.body, inner, block, counts, ticks + bound)
            return
        code = self.value(expr, local, block)
        value = code.value
        if counts:
            total = _binary(_name("ticks"), ast.Add(), _constant(ticks + code.ticks))
            value = _tuple([value, total])
        block.emit(ast.Return(value))

    def policy(
        self, program: Program, policy: s.Policy, parameters: tuple[str, ...]
    ) -> Callable[..., Any]:
        """A function of observed state and memory: actions, next memory, and ticks, in one tuple."""
        first = {p: self.fresh("v") for p in parameters}
        local = dict(first)
        block, ticks = self._open(), 0
        for statement in policy.body:
            code = self.value(statement.value, local, block)
            name = statement.name + "'" if isinstance(statement, s.Next) else statement.name
            local[name] = self.fresh("v")
            block.emit(_assign(local[name], code.value))
            ticks += code.ticks
            ticks += self.price("let") if isinstance(statement, s.Define) else 0
        kept = [local.get(v.name + "'", local[v.name]) for v in program.memories]
        found = [*(local[v.name] for v in program.task.actions), *kept]
        total = _binary(_name("ticks"), ast.Add(), _constant(ticks))
        block.emit(ast.Return(_tuple([*map(_name, found), total])))
        return cast(Callable[..., Any], self.globals[self.make(first.values(), block.statements)])

    def called(self, function: Function) -> str:
        """The Python function of a `def`."""
        if function.name not in self._functions:
            parameters = tuple(p.name for p in function.parameters)
            counts, self.counts = self.counts, self.counts and self.varies(function)
            self._functions[function.name] = self._function(function.body, parameters)
            self.counts = counts
        return self._functions[function.name]

    # --- ticks -----------------------------------------------------------------------------------

    def varies(self, function: Function) -> bool:
        """Whether the ticks of a `def` depend on its arguments; where they do not, its function gives the value alone."""
        if function.name not in self._varies:
            self._varies[function.name] = self.fixed_ticks(function.body) is None
        return self._varies[function.name]

    def fixed_ticks(self, expr: s.Expr) -> int | None:
        """The ticks of an expression where they are the same for all values, else None."""
        below = [self.fixed_ticks(cast(s.Expr, c)) for c in _charged(expr)]
        if any(t is None for t in below):
            return None
        ticks = cast(list[int], below)
        price = self.names.prices.get
        match expr:
            case s.If():
                return price("if", 1) + ticks[0] + ticks[1] if ticks[1] == ticks[2] else None
            case s.Binary("and" | "or" | "implies", _, _):
                return price(expr.op, 1) + ticks[0] if ticks[1] == 0 else None
            case s.Compare(ops, _):
                return price(ops[0], 1) + sum(ticks) if len(ops) == 1 else None
            case s.Match():
                alike = all(t == ticks[1] for t in ticks[1:])
                return price("match", 1) + ticks[0] + ticks[1] if alike else None
            case s.Fold():
                turns = len(self.turns(expr.low, expr.high))
                return price("fold", 1) * (1 + turns) + ticks[0] + turns * ticks[1]
            case s.ArrayFor():
                return price("array", 1) + len(self.turns(expr.low, expr.high)) * ticks[0]
            case s.Quantifier():
                return None
            case s.Call(name, _) if name in self.names.functions:
                body = self.fixed_ticks(self.names.functions[name].body)
                return None if body is None else price("call", 1) + sum(ticks) + body
            case _:
                return self._own(expr) + sum(ticks)

    def _own(self, expr: s.Expr) -> int:
        """What a node takes by itself, for nodes that always evaluate all below."""
        price = self.names.prices.get
        match expr:
            case s.Unary(op, _) | s.Binary(op, _, _):
                return price(op, 1)
            case s.BitsOp("literal", _, _):
                return 0
            case s.BitsOp(op, _, _):
                return price(op, 1)
            case s.Let():
                return price("let", 1)
            case s.Index():
                return price("index", 1)
            case s.ArrayLit():
                return price("array", 1)
            case s.With(_, changes):
                return price("with", 1) * len(changes)
            case s.Call(name, args):
                if name in self.names.enums:
                    return price("convert", 1)
                return price(name, 1) * (len(args) - 1 if name in ("min", "max") else 1)
            case _:
                return 0

    # --- values ----------------------------------------------------------------------------------

    def turns(self, low: s.Expr, high: s.Expr) -> range:
        """The integers of a constant range."""
        evaluator = Evaluator(self.names)
        return range(evaluator.value(low, {}), evaluator.value(high, {}) + 1)

    def value(self, expr: s.Expr, local: Local, block: _Block) -> _Code:
        """An expression; statements that it needs go to the block."""
        return _CASES[type(expr)](self, expr, local, block)

    def _bind(
        self, name: str, value: s.Expr, local: Local, block: _Block
    ) -> tuple[dict[str, str], int]:
        code = self.value(value, local, block)
        inner = {**local, name: self.fresh("v")}
        block.emit(_assign(inner[name], code.value))
        return inner, code.ticks

    def _literal(self, expr: Any, local: Local, block: _Block) -> _Code:
        return _Code(self.hold(expr.value), 0)

    def _name(self, expr: s.Name, local: Local, block: _Block) -> _Code:
        if expr.name in local:
            return _Code(_name(local[expr.name]), 0)
        return _Code(self._held(expr.name), 0)

    def _held(self, name: str) -> Py:
        value = self.names.values[name]
        if type(value) in (bool, int):
            return _constant(cast(int, value))
        if name not in self._constants:
            self._constants[name] = cast(ast.Name, self.hold(value)).id
        return _name(self._constants[name])

    def _primed(self, expr: s.Primed, local: Local, block: _Block) -> _Code:
        return _Code(_name(local[expr.name + "'"]), 0)

    def _member(self, expr: s.Member, local: Local, block: _Block) -> _Code:
        return _Code(_constant(self.names.enums[expr.enum].members.index(expr.member)), 0)

    def _unary(self, expr: s.Unary, local: Local, block: _Block) -> _Code:
        code = self.value(expr.operand, local, block)
        op: ast.unaryop = ast.Not() if expr.op == "not" else ast.USub()
        return _Code(ast.UnaryOp(op, code.value), code.ticks + self.price(expr.op))

    def _binary(self, expr: s.Binary, local: Local, block: _Block) -> _Code:
        op = expr.op
        left = self.value(expr.left, local, block)
        ticks = left.ticks + self.price(op)
        if op in ("and", "or", "implies"):
            # `implies` is `not a or b`
            head = ast.UnaryOp(ast.Not(), left.value) if op == "implies" else left.value
            return self._shortened(head, op == "and", expr.right, local, block, ticks)
        right = self.value(expr.right, local, block)
        ticks += right.ticks
        if op == "/":
            return _Code(_call("divide", left.value, right.value), ticks)
        return _Code(_binary(left.value, _ARITHMETIC[op](), right.value), ticks)

    def _shortened(
        self, head: Py, both: bool, rest: s.Expr, local: Local, block: _Block, ticks: int
    ) -> _Code:
        """`head and rest` or `head or rest`, where the rest is evaluated and charged only if it is needed."""
        inner = block.inner()
        code = self.value(rest, local, inner)
        if not inner.statements and code.ticks == 0:
            op: ast.boolop = ast.And() if both else ast.Or()
            return _Code(ast.BoolOp(op, [head, code.value]), ticks)
        name = self.fresh("t")
        block.emit(_assign(name, head))
        inner.charge(code.ticks)
        inner.emit(_assign(name, code.value))
        test = _name(name) if both else ast.UnaryOp(ast.Not(), _name(name))
        block.emit(ast.If(test, inner.statements, []))
        return _Code(_name(name), ticks)

    def _compare(self, expr: s.Compare, local: Local, block: _Block) -> _Code:
        ops, operands = expr.ops, expr.operands
        first = self.value(operands[0], local, block)
        if len(ops) == 1:
            right = self.value(operands[1], local, block)
            ticks = first.ticks + right.ticks + self.price(ops[0])
            compared = ast.Compare(first.value, [_COMPARISONS[ops[0]]()], [right.value])
            return _Code(compared, ticks)
        plain = block.inner()
        rest = [self.value(o, local, plain) for o in operands[1:]]
        if not self.counts and not plain.statements:
            chain = [_COMPARISONS[op]() for op in ops]
            return _Code(ast.Compare(first.value, chain, [code.value for code in rest]), 0)
        return self._chain(first, ops, operands[1:], local, block)

    def _chain(
        self,
        first: _Code,
        ops: tuple[str, ...],
        rest: tuple[s.Expr, ...],
        local: Local,
        block: _Block,
    ) -> _Code:
        """A chain of comparisons that stops, in value and ticks, at the first false one."""
        name = self.fresh("t")
        left, top = block.keep(first.value), block
        for i, (op, operand) in enumerate(zip(ops, rest, strict=True)):
            code = self.value(operand, local, block)
            right = block.keep(code.value)
            if i:
                block.charge(code.ticks + self.price(op))
            else:
                ticks = first.ticks + code.ticks + self.price(op)
            block.emit(_assign(name, ast.Compare(left, [_COMPARISONS[op]()], [right])))
            left = right
            if i < len(ops) - 1:
                inner = block.inner()
                block.emit(ast.If(_name(name), inner.statements, []))
                block = inner
        assert top.statements
        return _Code(_name(name), ticks)

    def _if(self, expr: s.If, local: Local, block: _Block) -> _Code:
        test = self.value(expr.test, local, block)
        ticks = test.ticks + self.price("if")
        return self._branches([(test.value, expr.then)], expr.otherwise, local, block, ticks)

    def _branches(
        self,
        tests: list[tuple[Py, s.Expr]],
        otherwise: s.Expr,
        local: Local,
        block: _Block,
        ticks: int,
    ) -> _Code:
        """The first body whose test holds, else the last one; a conditional expression where nothing forces statements."""
        bodies = [body for _, body in tests] + [otherwise]
        inners = [block.inner() for _ in bodies]
        codes = [self.value(b, local, inner) for b, inner in zip(bodies, inners, strict=True)]
        same = len({code.ticks for code in codes}) == 1
        if same and not any(inner.statements for inner in inners):
            value = codes[-1].value
            for (test, _), code in zip(reversed(tests), reversed(codes[:-1]), strict=True):
                value = ast.IfExp(test, code.value, value)
            return _Code(value, ticks + codes[0].ticks)
        name = self.fresh("t")
        for inner, code in zip(inners, codes, strict=True):
            inner.charge(code.ticks)
            inner.emit(_assign(name, code.value))
        rest = inners[-1].statements
        for (test, _), inner in zip(reversed(tests), reversed(inners[:-1]), strict=True):
            rest = [ast.If(test, inner.statements, rest)]
        block.statements += rest
        return _Code(_name(name), ticks)

    def _let(self, expr: s.Let, local: Local, block: _Block) -> _Code:
        inner, ticks = self._bind(expr.name, expr.value, local, block)
        code = self.value(expr.body, inner, block)
        return _Code(code.value, ticks + code.ticks + self.price("let"))

    def tests(self, match: s.Match | s.DistMatch, subject: Py) -> list[Py]:
        """Whether each arm of a match is taken, if no arm before it is."""
        found: list[Py] = []
        for arm in match.arms:
            patterns = [self.value(p, {}, _Block(self)).value for p in arm.patterns]
            if len(patterns) == 1:
                found.append(ast.Compare(subject, [ast.Eq()], patterns))
            else:
                found.append(ast.Compare(subject, [ast.In()], [_tuple(patterns)]))
        return found

    def _match(self, expr: s.Match, local: Local, block: _Block) -> _Code:
        subject = self.value(expr.subject, local, block)
        ticks = subject.ticks + self.price("match")
        tests = self.tests(expr, block.keep(subject.value))
        bodies = [arm.body for arm in expr.arms]
        # without `else` the last arm is the rest: a total match has no other value
        rest = expr.otherwise if expr.otherwise is not None else bodies.pop()
        pairs = list(zip(tests, bodies, strict=False))
        return self._branches(pairs, rest, local, block, ticks)

    def _call(self, expr: s.Call, local: Local, block: _Block) -> _Code:
        codes = [self.value(a, local, block) for a in expr.args]
        args, ticks = [c.value for c in codes], sum(c.ticks for c in codes)
        function = self.names.functions.get(expr.name)
        if function is None:
            ticks += self._own(expr) if self.counts else 0
            return _Code(self._built_in(expr.name, args, block), ticks)
        ticks += self.price("call")
        called = _call(self.called(function), *args)
        if not self.counts:
            return _Code(called, 0)
        if not self.varies(function):
            return _Code(called, ticks + cast(int, self.fixed_ticks(function.body)))
        both = self.fresh("t")
        block.emit(_assign(both, called))
        block.emit(_add("ticks", _item(_name(both), _constant(1))))
        return _Code(block.keep(_item(_name(both), _constant(0))), ticks)

    def _built_in(self, name: str, args: list[Py], block: _Block) -> Py:
        if name == "ord" or name in self.names.enums:
            return args[0]
        if name in ("min", "max") and len(args) == 2:
            # a conditional is quicker than a call
            left, right = map(block.keep, args)
            op: ast.cmpop = ast.LtE() if name == "min" else ast.GtE()
            return ast.IfExp(ast.Compare(left, [op], [right]), left, right)
        if name == "clamp":
            value, low, high = map(block.keep, args)
            least = block.keep(ast.IfExp(ast.Compare(value, [ast.LtE()], [high]), value, high))
            return ast.IfExp(ast.Compare(low, [ast.GtE()], [least]), low, least)
        return _call(name, *args)

    def _index(self, expr: s.Index, local: Local, block: _Block) -> _Code:
        array = self.value(expr.array, local, block)
        index = self.value(expr.index, local, block)
        ticks = array.ticks + index.ticks + self.price("index")
        return _Code(_item(array.value, index.value), ticks)

    def _array(self, expr: s.ArrayLit, local: Local, block: _Block) -> _Code:
        codes = [self.value(item, local, block) for item in expr.items]
        ticks = sum(c.ticks for c in codes) + self.price("array")
        return _Code(_tuple(c.value for c in codes), ticks)

    def _array_for(self, expr: s.ArrayFor, local: Local, block: _Block) -> _Code:
        turns = self.turns(expr.low, expr.high)
        var = self.fresh("v")
        inner = block.inner(loop=True)
        code = self._outlined(expr.body, {**local, expr.var: var}, inner)
        ticks = self.price("array")
        over = _range(turns[0], turns[-1])
        if not inner.statements:
            made = ast.ListComp(code.value, [ast.comprehension(_target(var), over, [], 0)])
            return _Code(_call("tuple", made), ticks + code.ticks * len(turns))
        name = self.fresh("t")
        block.emit(_assign(name, ast.List([], ast.Load())))
        inner.emit(_add(name, ast.List([code.value], ast.Load())))
        block.emit(_loop(_target(var), over, inner.statements))
        return _Code(_call("tuple", _name(name)), ticks + code.ticks * len(turns))

    def _outlined(self, expr: s.Expr, local: Local, block: _Block) -> _Code:
        """The body of a loop; where loops nest too deeply for Python it becomes a function of its own."""
        if block.loops <= LOOPS_MAX:
            return self.value(expr, local, block)
        read = names_read(expr)
        known = {name: py for name, py in local.items() if name in read}
        body = self._open()
        code = self.value(expr, known, body)
        if not self.counts:
            body.emit(ast.Return(code.value))
            name = self.make(known.values(), body.statements)
            return _Code(_call(name, *map(_name, known.values())), 0)
        total = _binary(_name("ticks"), ast.Add(), _constant(code.ticks))
        body.emit(ast.Return(_tuple([code.value, total])))
        name = self.make(known.values(), body.statements)
        both = self.fresh("t")
        block.emit(_assign(both, _call(name, *map(_name, known.values()))))
        block.emit(_add("ticks", _item(_name(both), _constant(1))))
        return _Code(_item(_name(both), _constant(0)), 0)

    def _with(self, expr: s.With, local: Local, block: _Block) -> _Code:
        array = self.value(expr.array, local, block)
        ticks = array.ticks + self.price("with", len(expr.changes))
        name = self.fresh("t")
        changes: list[tuple[Py, Py]] = []
        for change in expr.changes:
            index = self.value(change.index, local, block)
            value = self.value(change.value, local, block)
            ticks += index.ticks + value.ticks
            changes.append((index.value, value.value))
        block.emit(_assign(name, _call("list", array.value)))
        for at, new in changes:
            slot = ast.Subscript(_name(name), at, ast.Store())
            block.emit(ast.Assign([slot], new))
        return _Code(_call("tuple", _name(name)), ticks)

    def _fold(self, expr: s.Fold, local: Local, block: _Block) -> _Code:
        turns = self.turns(expr.low, expr.high)
        start = self.value(expr.start, local, block)
        acc, var = self.fresh("v"), self.fresh("v")
        block.emit(_assign(acc, start.value))
        inner = block.inner(loop=True)
        code = self._outlined(expr.body, {**local, expr.acc: acc, expr.var: var}, inner)
        inner.emit(_assign(acc, code.value))
        block.emit(_loop(_target(var), _range(turns[0], turns[-1]), inner.statements))
        each = code.ticks + self.price("fold")
        return _Code(_name(acc), start.ticks + self.price("fold") + each * len(turns))

    def _quantifier(self, expr: s.Quantifier, local: Local, block: _Block) -> _Code:
        turns = self.turns(expr.low, expr.high)
        found, var = self.fresh("t"), self.fresh("v")
        block.emit(_assign(found, _constant(expr.word == "forall")))
        inner = block.inner(loop=True)
        code = self._outlined(expr.body, {**local, expr.var: var}, inner)
        inner.charge(code.ticks + self.price(expr.word))
        test = code.value if expr.word == "exists" else ast.UnaryOp(ast.Not(), code.value)
        stop: list[ast.stmt] = [_assign(found, _constant(expr.word == "exists")), ast.Break()]
        inner.emit(ast.If(test, stop, []))
        block.emit(_loop(_target(var), _range(turns[0], turns[-1]), inner.statements))
        return _Code(_name(found), 0)

    def _bits(self, expr: s.BitsOp, local: Local, block: _Block) -> _Code:
        codes = [self.value(a, local, block) for a in expr.args]
        ticks = sum(c.ticks for c in codes) + (self._own(expr) if self.counts else 0)
        args = [c.value for c in codes]
        return _Code(_bits_value(expr.op, expr.width, args), ticks)

    # --- one step of a world ---------------------------------------------------------------------

    def step(self, task: Task, parameters: tuple[str, ...], listed: bool) -> Callable[..., Any]:
        """A function that lists draws, or adds up the weight of each pair of reward and next state."""
        first = {p: self.fresh("v") for p in parameters}
        block, self.listed = _Block(self), listed
        block.emit(_assign("found", ast.List([], ast.Load()) if listed else ast.Dict([], [])))
        self._draw(task, 0, dict(first), None, block)
        block.emit(ast.Return(_name("found")))
        return cast(Callable[..., Any], self.globals[self.make(first.values(), block.statements)])

    def _draw(
        self, task: Task, index: int, local: dict[str, str], weight: Py | None, block: _Block
    ) -> None:
        """The plan from an item on; `weight` is that of the draws above, None for 1."""
        while index < len(task.plan):
            item = task.plan[index]
            index += 1
            if isinstance(item, s.Chance):
                self._draw_from(task, index, item, local, weight, block)
                return
            name = item.name + "'" if isinstance(item, s.Next) else item.name
            code = self.value(item.value, local, block)
            local[name] = self.fresh("v")
            block.emit(_assign(local[name], code.value))
        reward = self.value(task.reward, local, block)
        following = _tuple(_name(local[v.name + "'"]) for v in task.states)
        drawn = _constant(1) if weight is None else weight
        if self.listed:
            values_drawn = _tuple(_name(local[v.name]) for v in task.chances)
            row = _tuple([values_drawn, drawn, reward.value, following])
            added = ast.Attribute(_name("found"), "append", ast.Load())
            block.emit(ast.Expr(ast.Call(added, [row], [])))
            return
        key = self.fresh("t")
        block.emit(_assign(key, _tuple([reward.value, following])))
        slot = ast.Subscript(_name("found"), _name(key), ast.Store())
        seen = ast.Compare(_name(key), [ast.In()], [_name("found")])
        again = ast.AugAssign(slot, ast.Add(), drawn)
        block.emit(ast.If(seen, [again], [ast.Assign([slot], drawn)]))

    def _draw_from(
        self,
        task: Task,
        index: int,
        item: s.Chance,
        local: dict[str, str],
        weight: Py | None,
        block: _Block,
    ) -> None:
        var, share = self.fresh("v"), self.fresh("w")
        over = self._dist(item.dist, local, block)
        inner = block.inner(loop=True)
        if weight is None:
            joint: Py = _name(share)
        else:
            joint = inner.keep(_binary(weight, ast.Mult(), _name(share)))
        below = {**local, item.name: var}
        if inner.loops <= LOOPS_MAX:
            self._draw(task, index, below, joint, inner)
        else:
            handed = [*dict.fromkeys([*below.values(), "found"])]
            body = _Block(self)
            self._draw(task, index, dict(below), _name("weight"), body)
            name = self.make([*handed, "weight"], body.statements)
            inner.emit(ast.Expr(_call(name, *map(_name, handed), joint)))
        pair = ast.Tuple([_target(var), _target(share)], ast.Store())
        block.emit(_loop(pair, over, inner.statements))

    def _dist(self, dist: s.Dist, local: Local, block: _Block) -> Py:
        """The pairs of a value and its weight, each value once."""
        read = names_read(dist)
        if not read & local.keys() and _is_plain(dist):
            return self.hold(Evaluator(self.names).distribution(dist, {}))
        name = self.fresh("t")
        block.emit(_assign(name, ast.Dict([], [])))
        self._collect(dist, local, name, block)
        return ast.Call(ast.Attribute(_name(name), "items", ast.Load()), [], [])

    def _collect(self, dist: s.Dist, local: Local, into: str, block: _Block) -> None:
        match dist:
            case s.DistMap(entries):
                for entry in entries:
                    self._entry(entry, local, into, block)
            case s.DistFor(var, low, high, entry):
                turns, own = self.turns(low, high), self.fresh("v")
                inner = block.inner(loop=True)
                self._entry(entry, {**local, var: own}, into, inner)
                block.emit(_loop(_target(own), _range(turns[0], turns[-1]), inner.statements))
            case s.DistIf(test, then, otherwise):
                code = self.value(test, local, block)
                branches = block.inner(), block.inner()
                self._collect(then, local, into, branches[0])
                self._collect(otherwise, local, into, branches[1])
                block.emit(ast.If(code.value, branches[0].statements, branches[1].statements))
            case s.DistLet(name, value, body):
                bound, _ = self._bind(name, value, local, block)
                self._collect(body, bound, into, block)
            case s.DistMatch(subject, arms, otherwise):
                code = self.value(subject, local, block)
                tests = self.tests(dist, block.keep(code.value))
                bodies = [arm.body for arm in arms]
                end = block.inner()
                self._collect(
                    otherwise if otherwise is not None else bodies.pop(), local, into, end
                )
                rest = end.statements
                for taken, chosen in reversed(list(zip(tests, bodies, strict=False))):
                    inner = block.inner()
                    self._collect(chosen, local, into, inner)
                    rest = [ast.If(taken, inner.statements, rest)]
                block.statements += rest

    def _entry(self, entry: s.Weighted, local: Local, into: str, block: _Block) -> None:
        value = block.keep(self.value(entry.value, local, block).value)
        weight = self.value(entry.weight, local, block).value
        slot = ast.Subscript(_name(into), value, ast.Store())
        seen = ast.Compare(value, [ast.In()], [_name(into)])
        again = ast.AugAssign(slot, ast.Add(), weight)
        block.emit(ast.If(seen, [again], [ast.Assign([slot], weight)]))


def _is_plain(dist: s.Dist) -> bool:
    """Whether nothing in a distribution binds a name, so that what it reads stands outside."""
    return not any(isinstance(n, s.Primed) for n in s.walk(dist))


def _charged(expr: s.Expr) -> tuple[s.Node, ...]:
    """The expressions below that are evaluated and charged; patterns and the ends of ranges are not."""
    match expr:
        case s.Match(subject, arms, otherwise):
            rest = () if otherwise is None else (otherwise,)
            return (subject, *(arm.body for arm in arms), *rest)
        case s.ArrayFor(_, _, _, body) | s.Quantifier(_, _, _, _, body):
            return (body,)
        case s.Fold(_, start, _, _, _, body):
            return (start, body)
        case s.With(array, changes):
            return (array, *(e for c in changes for e in (c.index, c.value)))
        case _:
            return s.children(expr)


def _bits_value(op: str, width: int, args: list[Py]) -> Py:
    """An operation on bits; values are 0..2^width-1."""
    mask = _constant((1 << width) - 1)
    match op:
        case "literal" | "int":
            return args[0]
        case "&" | "|" | "^":
            kinds: dict[str, ast.operator] = {
                "&": ast.BitAnd(),
                "|": ast.BitOr(),
                "^": ast.BitXor(),
            }
            return _binary(args[0], kinds[op], args[1])
        case "-" if len(args) == 1:
            return _binary(ast.UnaryOp(ast.USub(), args[0]), ast.BitAnd(), mask)
        case "+" | "-" | "*":
            wrapped = _binary(args[0], _ARITHMETIC[op](), args[1])
            return _binary(wrapped, ast.BitAnd(), mask)
        case "~":
            return _binary(args[0], ast.BitXor(), mask)
        case "bits":
            return _binary(args[0], ast.BitAnd(), mask)
        case ">>":
            # a shift by more than is there leaves 0, as `>>` of Python does
            return _binary(args[0], ast.RShift(), args[1])
        case "<<":
            amount = args[1]
            if isinstance(amount, ast.Constant) and cast(int, amount.value) < width:
                shifted = _binary(args[0], ast.LShift(), amount)
                return _binary(shifted, ast.BitAnd(), mask)
            return _call("shl", args[0], amount, _constant(width))
        case "udiv":
            return _binary(args[0], ast.FloorDiv(), args[1])
        case "urem":
            return _binary(args[0], ast.Mod(), args[1])
        case "ult" | "ule":
            compared: ast.cmpop = ast.Lt() if op == "ult" else ast.LtE()
            return ast.Compare(args[0], [compared], [args[1]])
        case "slt" | "sle":
            signed = [_call("signed", a, _constant(width)) for a in args]
            compared = ast.Lt() if op == "slt" else ast.LtE()
            return ast.Compare(signed[0], [compared], [signed[1]])
        case "sint":
            return _call("signed", args[0], _constant(width))
        case "sext":
            signed_value = _call("signed", args[0], _constant(width))
            target = cast(int, cast(ast.Constant, args[1]).value)
            return _binary(signed_value, ast.BitAnd(), _constant((1 << target) - 1))
        case _:
            return _call(op, *args, _constant(width))


_CASES: Mapping[type[s.Node], Callable[[_Unit, Any, Local, _Block], _Code]] = {
    s.BoolLit: _Unit._literal,
    s.IntLit: _Unit._literal,
    s.RatLit: _Unit._literal,
    s.Name: _Unit._name,
    s.Primed: _Unit._primed,
    s.Member: _Unit._member,
    s.Unary: _Unit._unary,
    s.Binary: _Unit._binary,
    s.Compare: _Unit._compare,
    s.If: _Unit._if,
    s.Let: _Unit._let,
    s.Match: _Unit._match,
    s.Call: _Unit._call,
    s.Index: _Unit._index,
    s.ArrayLit: _Unit._array,
    s.ArrayFor: _Unit._array_for,
    s.With: _Unit._with,
    s.Fold: _Unit._fold,
    s.Quantifier: _Unit._quantifier,
    s.BitsOp: _Unit._bits,
}
