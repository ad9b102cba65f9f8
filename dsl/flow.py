"""Which parts of an expression its value is made of: what integer literals adapt to, and folds widen to."""

from __future__ import annotations

from dsl import syntax as s


def parts_of(expr: s.Expr) -> tuple[s.Expr, ...]:
    """The parts whose scalars are of the same type as those of the whole, so that they must agree."""
    match expr:
        case s.Unary("-" | "~", operand):
            return (operand,)
        case s.Binary("<<" | ">>", left):
            return (left,)
        case s.Binary("+" | "-" | "*" | "&" | "|" | "^", left, right):
            return left, right
        case s.If(_, then, otherwise):
            return then, otherwise
        case s.Let(_, _, body) | s.ArrayFor(_, _, _, body):
            return (body,)
        case s.Match(_, arms, otherwise):
            bodies = tuple([arm.body for arm in arms])
            return bodies if otherwise is None else (*bodies, otherwise)
        case s.Call("ashr", args):
            return args[:1]
        case s.Call("udiv" | "urem" | "sdiv" | "srem" | "min" | "max" | "abs" | "clamp", args):
            return args
        case s.Index(array):
            return (array,)
        case s.ArrayLit(items):
            return items
        case s.With(array, changes):
            return (array, *[change.value for change in changes])
        case s.Fold(_, start, _, _, _, body):
            return start, body
        case _:
            return ()


def takes_bits(expr: s.Expr, names: frozenset[str] = frozenset()) -> bool:
    """Whether an expression is made of integer literals alone, and so takes the bits that its context asks for.

    `names` are those of folds around it, which are what their starts and bodies are.
    """
    if isinstance(expr, s.IntLit):
        return True
    if isinstance(expr, s.Name):
        return expr.name in names
    grid = s.grid_of(expr)
    if grid is not None:
        return grid.width is None and grid.classes <= {int, str} and names.issuperset(grid.names)
    if isinstance(expr, s.Call) and expr.name in ("min", "max", "abs", "clamp"):
        return False
    if isinstance(expr, s.Fold):
        names |= {expr.acc}
    parts = parts_of(expr)
    for part in parts:
        if not takes_bits(part, names):
            return False
    return bool(parts)


def literals_last(parts: tuple[s.Expr, ...]) -> list[tuple[int, s.Expr]]:
    """Parts that must agree, with their places: first those that are bits or not of themselves, then literals."""
    if len(parts) == 1:
        return [(0, parts[0])]
    literal = [takes_bits(part) for part in parts]
    pairs = list(enumerate(parts))
    return [p for p in pairs if not literal[p[0]]] + [p for p in pairs if literal[p[0]]]
