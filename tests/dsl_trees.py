"""Random trees, as the parser can produce them."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from dsl import syntax as s

NAMES = st.sampled_from(
    ["a", "b", "row", "temperature", "NEXT", "_x1", "other", "ends", "in_", "iff"]
)
OPS = ["+", "-", "*", "/", "div", "mod", "and", "or", "implies", "|", "^", "&", "<<", ">>"]
CHAINS = [["<", "<="], [">", ">="]]


def binary(op: str, left: s.Expr, right: s.Expr) -> s.Expr:
    """As the parser reads it: a fraction of two integer literals is one literal."""
    if op == "/" and isinstance(left, s.IntLit) and isinstance(right, s.IntLit):
        if right.value > 0:
            return s.RatLit(Fraction(left.value, right.value))
    return s.Binary(op, left, right)


def unary(op: str, operand: s.Expr) -> s.Expr:
    """As the parser reads it: `-` before a number is part of the literal."""
    if op == "-" and isinstance(operand, s.IntLit):
        return s.IntLit(-operand.value)
    if op == "-" and isinstance(operand, s.RatLit):
        return s.RatLit(-operand.value)
    return s.Unary(op, operand)


INTS = st.integers(-(10**12), 10**12).map(s.IntLit)
RATS = st.fractions(max_denominator=1000).map(s.RatLit)
MEMBERS = st.builds(s.Member, NAMES, NAMES)
LEAVES = st.one_of(
    st.booleans().map(s.BoolLit), INTS, RATS, NAMES.map(s.Name), NAMES.map(s.Primed), MEMBERS
)
PATTERNS = st.lists(
    st.one_of(st.booleans().map(s.BoolLit), INTS, RATS, NAMES.map(s.Name), MEMBERS),
    min_size=1,
    max_size=3,
).map(tuple)


@st.composite
def _compares(draw: st.DrawFn, below: st.SearchStrategy[s.Expr]) -> s.Expr:
    count = draw(st.integers(1, 3))
    kinds = draw(st.sampled_from(CHAINS)) if count > 1 else ["<", "<=", ">", ">=", "==", "!="]
    ops = [draw(st.sampled_from(kinds)) for _ in range(count)]
    return s.Compare(tuple(ops), tuple(draw(below) for _ in range(count + 1)))


@st.composite
def _matches(draw: st.DrawFn, below: st.SearchStrategy[s.Expr]) -> s.Expr:
    arms = draw(st.lists(st.builds(s.Arm, PATTERNS, below), max_size=3))
    otherwise = draw(st.none() | below) if arms else draw(below)
    return s.Match(draw(below), tuple(arms), otherwise)


def _larger(below: st.SearchStrategy[s.Expr]) -> st.SearchStrategy[s.Expr]:
    several = st.lists(below, min_size=1, max_size=4).map(tuple)
    changes = st.builds(s.Change, below, below)
    return st.one_of(
        st.builds(unary, st.sampled_from(["not", "-", "~"]), below),
        st.builds(binary, st.sampled_from(OPS), below, below),
        st.builds(binary, st.sampled_from(OPS), below, below),
        _compares(below),
        st.builds(s.If, below, below, below),
        st.builds(s.Let, NAMES, below, below),
        _matches(below),
        st.builds(s.Call, NAMES, st.lists(below, max_size=3).map(tuple)),
        st.builds(s.Call, st.just("int"), st.tuples(below)),
        st.builds(s.Resize, st.sampled_from(["bits", "sext"]), below, below),
        st.builds(s.Fold, NAMES, below, NAMES, below, below, below),
        st.builds(s.Quantifier, st.sampled_from(["forall", "exists"]), NAMES, below, below, below),
        st.builds(s.With, below, st.lists(changes, min_size=1, max_size=3).map(tuple)),
        st.builds(s.Index, below, below),
        st.builds(s.ArrayLit, several),
        st.builds(s.ArrayFor, NAMES, below, below, below),
    )


EXPRS = st.recursive(LEAVES, _larger, max_leaves=25)
SMALL = st.recursive(LEAVES, _larger, max_leaves=4)
FINITE = st.recursive(
    st.one_of(
        st.just(s.BoolType()),
        st.builds(s.IntType, SMALL, SMALL),
        st.builds(s.RatType, SMALL, SMALL),
        st.builds(s.BitsType, SMALL),
        st.builds(s.NamedType, NAMES),
    ),
    lambda below: st.builds(s.ArrayType, SMALL, below),
    max_leaves=3,
)
TYPES = st.one_of(
    FINITE,
    st.recursive(
        st.sampled_from([s.IntType(None, None), s.RatType(None, None)]),
        lambda below: st.builds(s.ArrayType, SMALL, below),
        max_leaves=3,
    ),
)
WEIGHTED = st.builds(s.Weighted, SMALL, SMALL)


@st.composite
def _dist_matches(draw: st.DrawFn, below: st.SearchStrategy[s.Dist]) -> s.Dist:
    arms = draw(st.lists(st.builds(s.DistArm, PATTERNS, below), min_size=1, max_size=3))
    return s.DistMatch(draw(SMALL), tuple(arms), draw(st.none() | below))


DISTS = st.recursive(
    st.one_of(
        st.builds(s.DistMap, st.lists(WEIGHTED, min_size=1, max_size=4).map(tuple)),
        st.builds(s.DistFor, NAMES, SMALL, SMALL, WEIGHTED),
    ),
    lambda below: st.one_of(
        st.builds(s.DistIf, SMALL, below, below),
        st.builds(s.DistLet, NAMES, SMALL, below),
        _dist_matches(below),
    ),
    max_leaves=5,
)

SOME_NAMES = st.lists(NAMES, min_size=1, max_size=12).map(tuple)
ENUMS = st.builds(s.Enum, NAMES, SOME_NAMES)
CONSTS = st.builds(s.Const, NAMES, EXPRS)
TABLES = st.builds(s.Table, NAMES, TYPES, EXPRS)
PARAMETERS = st.lists(st.builds(s.Parameter, NAMES, TYPES), max_size=3).map(tuple)
DEFS = st.builds(s.Def, NAMES, PARAMETERS, TYPES, EXPRS)
DEFINES = st.builds(s.Define, NAMES, EXPRS)
ENVIRONMENT_ITEMS = st.one_of(
    st.builds(s.State, NAMES, FINITE, EXPRS | DISTS | st.builds(s.AnyStart, st.none() | EXPRS)),
    st.builds(s.Unknown, NAMES, FINITE),
    st.builds(s.Assume, EXPRS),
    st.builds(s.Adversary, NAMES, FINITE, st.none() | EXPRS),
    st.builds(s.Observe, SOME_NAMES),
    st.builds(s.Action, NAMES, FINITE),
    st.builds(s.Chance, NAMES, TYPES, DISTS),
    DEFINES,
    st.builds(s.Next, NAMES, EXPRS),
    st.builds(s.Reward, EXPRS),
    st.builds(s.Done, EXPRS),
    CONSTS,
    TABLES,
    DEFS,
)
SETTINGS = st.builds(s.Setting, st.sampled_from(["discount", "horizon", "better"]), SMALL)
COSTS = st.builds(
    s.Costs,
    st.lists(
        st.builds(s.Cost, st.sampled_from(["*", "index", "a # b", "<<", "("]), SMALL),
        min_size=1,
        max_size=12,
    ).map(tuple),
)
REQUIREMENTS = st.builds(s.Always, NAMES, EXPRS) | st.builds(
    s.Reach, NAMES, SMALL, EXPRS, EXPRS, NAMES | st.just("main")
)
STATEMENTS = DEFINES | st.builds(s.Assign, NAMES, EXPRS) | st.builds(s.Next, NAMES, EXPRS)
BODIES = st.lists(STATEMENTS, max_size=3).map(tuple)
SLOTS = st.one_of(
    st.builds(s.Memory, NAMES, FINITE, SMALL),
    st.builds(s.Param, NAMES, FINITE, SMALL),
    TABLES,
    DEFS,
)


@st.composite
def codes(draw: st.DrawFn) -> s.Code:
    """An agent: some slots, one policy without a name, and perhaps further ones."""
    slots: list[s.Slot] = draw(st.lists(SLOTS, max_size=2))
    for name in ["main", *draw(st.lists(NAMES, max_size=2, unique=True))]:
        slots.insert(draw(st.integers(0, len(slots))), s.Policy(name, draw(BODIES)))
    return s.Code(tuple(slots))


@st.composite
def machines(draw: st.DrawFn) -> s.Machine:
    """A whole machine, well formed but seldom well typed."""
    top = draw(st.lists(st.one_of(ENUMS, CONSTS, TABLES, DEFS), max_size=4))
    environment = s.Environment(tuple(draw(st.lists(ENVIRONMENT_ITEMS, max_size=6))))
    utility = s.Utility(tuple(draw(st.lists(SETTINGS | COSTS, max_size=3))))
    required = tuple(draw(st.lists(REQUIREMENTS, max_size=2)))
    declarations = s.Declarations(draw(NAMES), tuple(top), environment, utility, required)
    return s.Machine(declarations, draw(codes()))
