"""The rewrite rules of `simplify`: a table of texts in our own language, and small functions for what texts cannot say.

In a pattern, a single letter stands for an expression, `k` and `m` for literals and members of enums; a letter that
stands twice stands for the same twice. Operands are matched in either order wherever the operator allows it (`x < y`
also matches `y > x`). No rule need be sound: the gate decides. `sound` only says what is tried first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from dsl import syntax as s
from godel.families.expression_rules import (
    arm_to_else,
    cancel_both_sides,
    compare_difference,
    convert_back,
    drop_arm,
    drop_else_arms,
    drop_let,
    fold_constant,
    hoist_common,
    index_comprehension,
    index_literal,
    index_to_match,
    index_uniform,
    inline_call,
    inline_let,
    match_known,
    match_once,
    match_truth,
    match_without_choice,
    merge_arms,
    merge_chain,
    move_literal,
    repeat_entry,
    sink_let,
    tests_to_match,
    use_test,
)
from godel.families.rule import (
    Bindings,
    Rule,
)
from godel.families.slot_rules import (
    drop_policy_let,
    inline_def,
    inline_param,
    inline_policy_let,
    remove_slot,
    reuse_value,
    share_part,
    sink_policy_let,
)

# --- side conditions -----------------------------------------------------------------------------


def _value(bindings: Bindings, name: str) -> int | Fraction | None:
    node = bindings[name]
    return node.value if isinstance(node, s.IntLit | s.RatLit) else None


def _in_order(bindings: Bindings) -> bool:
    low, high = _value(bindings, "k"), _value(bindings, "m")
    return low is not None and high is not None and low <= high


def _positive(bindings: Bindings) -> bool:
    value = _value(bindings, "m")
    return value is not None and value > 0


CONDITIONS: Mapping[str, Callable[[Bindings], bool]] = {
    "k <= m": _in_order,
    "k != m": lambda bindings: bindings["k"] != bindings["m"],
    "m > 0": _positive,
}

# --- the table -----------------------------------------------------------------------------------

# fmt: off
RULES: tuple[Rule, ...] = (
    # arithmetic
    Rule("add zero", "x + 0", "x"),
    Rule("subtract zero", "x - 0", "x"),
    Rule("subtract itself", "x - x", "0"),
    Rule("subtract from zero", "0 - x", "-x"),
    Rule("negate twice", "-(-x)", "x"),
    Rule("negate a difference", "-(x - y)", "y - x"),
    Rule("add a negative", "x + -y", "x - y"),
    Rule("subtract a negative", "x - -y", "x + y"),
    Rule("add literals", "x + k + m", "x + (k + m)"),
    Rule("add and subtract literals", "x + k - m", "x + (k - m)"),
    Rule("multiply literals", "x * k * m", "x * (k * m)"),
    Rule("add and take away", "x + y - y", "x"),
    Rule("take away and add", "x - y + y", "x"),
    Rule("times one", "x * 1", "x"),
    Rule("times zero", "x * 0", "0"),
    Rule("twice the same", "x + x", "2 * x"),
    Rule("common factor of a sum", "x * y + x * z", "x * (y + z)"),
    Rule("common factor of a difference", "x * y - x * z", "x * (y - z)"),
    Rule("divide by one", "x div 1", "x"),
    Rule("remainder by one", "x mod 1", "0"),
    Rule("divide twice", "x div k div m", "x div (k * m)", where="m > 0"),
    Rule("divide a multiple", "x * y div y", "x"),
    Rule("remainder of a multiple", "x * y mod y", "0"),
    Rule("remainder twice", "x mod y mod y", "x mod y"),
    Rule("remainder written out", "x - x div y * y", "x mod y"),
    Rule("quotient and remainder", "x div y * y + x mod y", "x"),
    Rule("divide and multiply back", "x / y * y", "x"),
    Rule("floor of a quotient", "floor(x / y)", "x div y"),
    # extremes
    Rule("least of equals", "min(x, x)", "x"),
    Rule("greatest of equals", "max(x, x)", "x"),
    Rule("least with a greatest", "min(x, max(x, y))", "x"),
    Rule("greatest with a least", "max(x, min(x, y))", "x"),
    Rule("least of sums", "min(x + z, y + z)", "min(x, y) + z"),
    Rule("greatest of sums", "max(x + z, y + z)", "max(x, y) + z"),
    Rule("least by a test", "if x < y then x else y", "min(x, y)"),
    Rule("least by a weak test", "if x <= y then x else y", "min(x, y)"),
    Rule("greatest by a test", "if x < y then y else x", "max(x, y)"),
    Rule("greatest by a weak test", "if x <= y then y else x", "max(x, y)"),
    Rule("clamp written out", "max(x, min(y, z))", "clamp(y, x, z)"),
    Rule("clamp inside out", "min(m, max(x, k))", "clamp(x, k, m)", where="k <= m"),
    Rule("clamp twice", "clamp(clamp(x, y, z), y, z)", "clamp(x, y, z)"),
    Rule("absolute of a negative", "abs(-x)", "abs(x)"),
    Rule("absolute twice", "abs(abs(x))", "abs(x)"),
    Rule("absolute written out", "max(x, -x)", "abs(x)"),
    Rule("absolute by a test", "if x < 0 then -x else x", "abs(x)"),
    # truth
    Rule("not twice", "not not a", "a"),
    Rule("and true", "a and true", "a"),
    Rule("and false", "a and false", "false"),
    Rule("or true", "a or true", "true"),
    Rule("or false", "a or false", "a"),
    Rule("and itself", "a and a", "a"),
    Rule("or itself", "a or a", "a"),
    Rule("and its negation", "a and not a", "false"),
    Rule("or its negation", "a or not a", "true"),
    Rule("and with an or", "a and (a or b)", "a"),
    Rule("or with an and", "a or a and b", "a"),
    Rule("two negations and", "not a and not b", "not (a or b)"),
    Rule("two negations or", "not a or not b", "not (a and b)"),
    Rule("implies written out", "not a or b", "a implies b"),
    Rule("common conjunct", "a and b or a and c", "a and (b or c)"),
    Rule("swap and", "a and b", "b and a"),
    Rule("swap or", "a or b", "b or a"),
    # comparisons
    Rule("not less", "not (x < y)", "x >= y"),
    Rule("not at most", "not (x <= y)", "x > y"),
    Rule("not equal", "not (x == y)", "x != y"),
    Rule("not unequal", "not (x != y)", "x == y"),
    Rule("equal to itself", "x == x", "true"),
    Rule("at most itself", "x <= x", "true"),
    Rule("less than itself", "x < x", "false"),
    Rule("compare with true", "a == true", "a"),
    Rule("compare with false", "a == false", "not a"),
    Rule("ask which branch", "(if c then k else m) == k", "c", where="k != m"),
    Rule("ask which other branch", "(if c then k else m) == m", "not c", where="k != m"),
    Rule("merge a chain", "a <= x and x < b", "a <= x < b", expr=merge_chain),
    Rule("move a literal", "x + k < m", "x < (m - k)", expr=move_literal),
    Rule("compare a difference", "x - y < 0", "x < y", expr=compare_difference),
    Rule("cancel on both sides", "x + z < y + z", "x < y", expr=cancel_both_sides),
    # branches
    Rule("if true", "if true then x else y", "x"),
    Rule("if false", "if false then x else y", "y"),
    Rule("same branches", "if c then x else x", "x"),
    Rule("test as value", "if c then true else false", "c"),
    Rule("negated test as value", "if c then false else true", "not c"),
    Rule("negated test", "if not c then x else y", "if c then y else x"),
    Rule("same test again", "if c then (if c then x else y) else z", "if c then x else z"),
    Rule("same test in else", "if c then x else if c then y else z", "if c then x else z"),
    Rule("two tests as and", "if c then (if d then x else y) else y", "if c and d then x else y"),
    Rule("two tests as or", "if c then x else if d then x else y", "if c or d then x else y"),
    Rule("test as or", "if c then true else b", "c or b"),
    Rule("test as and", "if c then b else false", "c and b"),
    Rule("equal either way", "if x == y then x else y", "y"),
    Rule("hoist what is common", "if c then x + y else x + z", "x + … y or z", expr=hoist_common),
    Rule("use the test", "if c then … c … else … c …", "… true … false …", expr=use_test),
    Rule("tests to match", "if x == k then y else z", "match x { k: y, … }", expr=tests_to_match),
    # matches
    Rule("match once", "match x { k: match x { k: y, … }, … }", "match x { k: y, … }", expr=match_once),
    Rule("match of a literal", "match k { k: x, … }", "x", expr=match_known),
    Rule("match without choice", "match x { k: y, else: y }", "y", expr=match_without_choice),
    Rule("match of a truth", "match c { true: x, false: y }", "if c then x else y", expr=match_truth),
    Rule("merge arms", "{ k: x, m: x, … }", "{ k | m: x, … }", expr=merge_arms),
    Rule("drop arms like else", "{ k: x, …, else: x }", "{ …, else: x }", expr=drop_else_arms),
    Rule("arm to else", "{ k: x, m: y }", "{ k: x, else: y }", expr=arm_to_else),
    # constants, lets, calls, arrays
    Rule("fold a constant", "1 + 2", "3", expr=fold_constant),
    Rule("inline a let", "let v = x in … v …", "… x …", expr=inline_let),
    Rule("drop a let", "let v = x in y", "y", expr=drop_let),
    Rule("sink a let", "let v = x in if c then v * v else y", "if c then … else y", expr=sink_let),
    Rule("inline a call", "f(x)", "the body of f at x", expr=inline_call),
    Rule("convert back", "ord(E(x))", "x", expr=convert_back),
    Rule("index a literal", "[x, y, z][1]", "y", expr=index_literal),
    Rule("index to match", "[x, y][z]", "match z { 0: x, else: y }", expr=index_to_match),
    Rule("index a comprehension", "[for i in 0..9: x][y]", "x at i = y", expr=index_comprehension),
    Rule("index a uniform table", "T[x]", "the one entry of T", expr=index_uniform),
    Rule("repeat an entry", "[x, x, x]", "[for i in 0..2: x]", expr=repeat_entry),
    # slots
    Rule("inline a policy let", "let v = x  act = … v …", "act = … x …", slot=inline_policy_let),
    Rule("drop a policy let", "let v = x", "", slot=drop_policy_let),
    Rule("sink a policy let", "let v = x  act = …", "act = … let v = x in …", slot=sink_policy_let),
    Rule("reuse a value", "let v = x  act = … x …", "let v = x  act = … v …", slot=reuse_value),
    Rule("share a part", "act = … x … x …", "let v = x  act = … v … v …", slot=share_part),
    Rule("remove a slot", "param v = k", "", slot=remove_slot),
    Rule("inline a param", "param v = k  … v …", "… k …", slot=inline_param),
    Rule("inline a def", "def f(y) = x  … f(z) …", "… x at y = z …", slot=inline_def),
    # sometimes right: behaviour may change
    Rule("forget rounding", "x div y * y", "x", sound=False),
    Rule("forget a remainder", "x mod y", "x", sound=False),
    Rule("forget a term", "x + y", "x", sound=False),
    Rule("forget what is taken away", "x - y", "x", sound=False),
    Rule("forget a least", "min(x, y)", "x", sound=False),
    Rule("forget a greatest", "max(x, y)", "x", sound=False),
    Rule("forget a clamp", "clamp(x, y, z)", "x", sound=False),
    Rule("forget an absolute", "abs(x)", "x", sound=False),
    Rule("forget a conjunct", "a and b", "a", sound=False),
    Rule("forget a disjunct", "a or b", "a", sound=False),
    Rule("first branch", "if c then x else y", "x", sound=False),
    Rule("second branch", "if c then x else y", "y", sound=False),
    Rule("later test first", "if c then x else if d then y else z", "if d then y else if c then x else z", sound=False),
    Rule("drop an arm", "{ k: x, …, else: y }", "{ …, else: y }", sound=False, expr=drop_arm),
)
# fmt: on
