"""What people write who come from other languages, and what is written here instead: signs, words, types, functions."""

from __future__ import annotations

HABITS: tuple[tuple[str, str], ...] = (
    ("...", "a range is written `low..high`; both ends belong to it"),
    ("..=", "a range is written `low..high`; both ends belong to it"),
    ("..<", "a range is written `low..high`, and both ends belong to it: `0..n - 1`"),
    ("===", "equality is `==`"),
    ("!==", "inequality is `!=`"),
    ("==>", "implication is `implies`"),
    ("<=>", "two tests agree when `==` says so"),
    (">>>", "`>>` brings zeros in, `ashr(x, k)` copies of the sign"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("**", "there is no power operator; multiply, or write a `def`"),
    ("//", "division that floors is `div`; a comment starts with `#`"),
    ("/*", "a comment starts with `#` and ends with its line"),
    (":=", "a definition is written with `=`"),
    ("::", "a member of an enum is `E.member`; a type stands after a single `:`"),
    ("=<", "at most is `<=`"),
    (
        "->",
        "implication is `implies`; the result of a `def` stands after `:`, an arm of a `match` is `pattern: value`",
    ),
    ("=>", "implication is `implies`; an arm of a `match` is `pattern: value`"),
    ("<>", "inequality is `!=`"),
    ("/=", "inequality is `!=`; a next value is `x' = x / …`"),
    ("++", "there is no `++`; write `+ 1`"),
    ("--", "there is no `--`; write `- 1`; a comment starts with `#`"),
    ("+=", "nothing is updated in place; a next value is `x' = x + …`"),
    ("-=", "nothing is updated in place; a next value is `x' = x - …`"),
    ("*=", "nothing is updated in place; a next value is `x' = x * …`"),
    ("!", "write `not`, or `!=` for inequality"),
    ("%", "the remainder is `mod`"),
    ("?", "a choice is written `if c then a else b`"),
    (";", "items need no separator"),
    ("$", "names are made of letters, digits and `_`"),
    ("@", "names are made of letters, digits and `_`"),
    ('"', "there are no strings; use the members of an `enum`"),
    ("'", "only the name of a state or memory variable takes a `'`: its next value"),
    ("\\", "there is no `\\`; a line break needs no sign, and division is `/` or `div`"),
    ("\u2264", "write `<=`"),
    ("\u2265", "write `>=`"),
    ("\u2260", "write `!=`"),
    ("\u2227", "write `and`"),
    ("\u2228", "write `or`"),
    ("\u00ac", "write `not`"),
    ("\u2192", "implication is `implies`"),
    ("\u21d2", "implication is `implies`"),
    ("\u2200", "write `forall i in a..b: p`"),
    ("\u2203", "write `exists i in a..b: p`"),
    ("\u2208", "write `low <= x <= high`, or `x == a or x == b`"),
    ("\u00d7", "write `*`"),
    ("\u00b7", "write `*`"),
    ("\u00f7", "write `/`, or `div` to floor"),
    ("\u2212", "write `-`"),
    ("\u2013", "write `-`"),
    ("\u2026", "a range is written `low..high`, with two dots"),
    ("\u2019", "the next value of `x` is `x'`, with a straight quote"),
    ("\ufeff", "save the file as UTF-8 without a byte order mark"),
)
"""Signs, longest first where one begins another."""

_EXACT = "numbers are exact here: write `rat`, or `rat low..high`; `0.05` is exactly 1/20"
_WHOLE = "write `int low..high`, or `int` in a parameter or a result"
_MACHINE_WORD = "write `bits[n]` for arithmetic modulo 2^n, or `int low..high`"
_TEXT = "there are no strings; declare an `enum` of what may be said"
_LIST = "write `array[n] of T`"
FOREIGN_TYPES: dict[str, str] = {
    **dict.fromkeys(("float", "double", "real", "Float", "Real", "decimal", "number"), _EXACT),
    **dict.fromkeys(
        ("rational", "Rational", "fraction", "Fraction", "Rat"), "write `rat`, or `rat low..high`"
    ),
    **dict.fromkeys(("integer", "Int", "Integer", "nat", "Nat", "long", "short"), _WHOLE),
    **dict.fromkeys(("uint", "byte", "unsigned", "word"), _MACHINE_WORD),
    **dict.fromkeys(
        ("bit", "Bit", "Bits", "bv", "BV", "bitvec", "BitVec", "bitvector"), "write `bits[n]`"
    ),
    **{f"{sign}{n}": _MACHINE_WORD for sign in ("u", "i", "int", "uint") for n in (8, 16, 32, 64)},
    **dict.fromkeys(("boolean", "Bool", "Boolean"), "write `bool`"),
    **dict.fromkeys(("str", "string", "String", "char", "text"), _TEXT),
    **dict.fromkeys(("list", "List", "tuple", "vector", "Vec", "Array"), _LIST),
    **dict.fromkeys(("void", "None", "unit"), "every `def` has a value; say of which type it is"),
}
"""Types that other languages have, and what is written instead; an enum may still have such a name."""

FOREIGN_WORDS = {
    "True": "`true`",
    "False": "`false`",
    "None": "no value is missing here: give the variable a member or a number that stands for it",
    "null": "no value is missing here: give the variable a member or a number that stands for it",
}
"""Values that other languages have."""

FOREIGN_OPERATORS: dict[str, str] = {
    **dict.fromkeys(("is", "equals", "eq"), "equality is `==`"),
    **dict.fromkeys(("iff", "xnor"), "two tests agree when `==` says so"),
    **dict.fromkeys(("xor",), "of tests it is `!=`, of bits `^`"),
    **dict.fromkeys(("rem", "modulo"), "the remainder is `mod`"),
    **dict.fromkeys(("shl", "lsl"), "write `<<`"),
    **dict.fromkeys(("shr", "lsr"), "write `>>`"),
    **dict.fromkeys(("implied", "imply", "entails"), "write `implies`"),
    **dict.fromkeys(("unless", "when"), "a choice is written `if c then a else b`"),
}
"""Words that stand between two values elsewhere."""

_CHANCE = "a draw is `chance c: T = { value: weight, … }`"
_REQUIRE = "write `require NAME: always P`"
_DEF = "a function is `def NAME(x: T, …): T = e`"
FOREIGN_ITEMS: dict[str, str] = {
    **dict.fromkeys(
        ("var", "variable", "variables", "init", "initial", "int", "bool"),
        "a variable of the state is `state x: T = e`",
    ),
    **dict.fromkeys(("random", "rand", "draw", "sample", "noise"), _CHANCE),
    **dict.fromkeys(
        ("control", "controls", "decision", "input", "actions", "choice"),
        "what the policy decides is `action a: T`",
    ),
    **dict.fromkeys(
        ("nature", "opponent", "enemy", "disturbance"),
        "what is chosen against the agent is `adversary y: T`",
    ),
    **dict.fromkeys(
        ("parameter", "hidden", "uncertain"),
        "what nobody knows is `unknown u: T`; a constant of the program is `param`, in `agent`",
    ),
    **dict.fromkeys(
        ("terminal", "terminate", "end", "stop", "finished"),
        "an episode ends where `done = e` says so",
    ),
    **dict.fromkeys(
        (
            "invariant",
            "ensure",
            "ensures",
            "assert",
            "safety",
            "property",
            "spec",
            "requires",
            "requirement",
        ),
        _REQUIRE,
    ),
    **dict.fromkeys(
        ("fn", "fun", "func", "function", "define", "proc", "procedure", "method"), _DEF
    ),
    **dict.fromkeys(("val", "final", "static", "constant"), "a constant is `const NAME = e`"),
    **dict.fromkeys(
        ("type", "data", "class", "struct", "record"),
        "a type of one's own is `enum NAME { member, … }`",
    ),
    **dict.fromkeys(
        ("model", "env", "dynamics", "transition", "transitions"),
        "the world is the block `environment { … }`",
    ),
    **dict.fromkeys(("objective", "goal", "value"), "what is valued is the block `utility { … }`"),
    **dict.fromkeys(
        ("program", "controller", "strategy", "player"), "the program is the block `agent { … }`"
    ),
    **dict.fromkeys(
        ("import", "include", "module", "use"),
        "a machine is one file, which begins with `machine NAME`",
    ),
    **dict.fromkeys(
        ("observable", "observes", "observed", "obs"), "what policies may read is `observe x, y`"
    ),
    **dict.fromkeys(
        ("while", "repeat", "loop"),
        "there are no loops; the step of the environment repeats by itself",
    ),
    **dict.fromkeys(
        ("cost", "rewards"), "the reward of a step is `reward = e`; a cost is a reward below 0"
    ),
}
"""Words that begin an item elsewhere."""

FOREIGN_SETTINGS: dict[str, str] = {
    **dict.fromkeys(
        ("gamma", "discounting", "discount_factor", "discount_rate", "beta"), "discount"
    ),
    **dict.fromkeys(
        ("steps", "max_steps", "episode_length", "length", "time_limit", "T"), "horizon"
    ),
    **dict.fromkeys(("tick_cost", "step_price", "time_price", "tick"), "tick_price"),
    **dict.fromkeys(("size_cost", "code_price", "length_price", "size"), "size_price"),
    **dict.fromkeys(("prices",), "costs"),
    **dict.fromkeys(("order", "compare", "mode", "criterion"), "better"),
}
"""Settings of a utility by the names that they have elsewhere."""

UNIFORM = "equal weights are written out: { for i in 0..3: i: 1/4 }"
COIN = "write { true: p, false: 1 - p }"
DRAWN = "what is drawn is a chance variable: chance c: T = { value: weight, … }"
_ROUGH = "numbers are exact here and this one is not; a table or a polynomial may stand for it"
_BITS_OF_LIST = "fold n = 0 for i in 0..2: n + (if a[i] then 1 else 0)"
FOREIGN_FUNCTIONS: dict[str, str] = {
    **dict.fromkeys(("uniform", "randint", "Uniform", "discrete_uniform"), UNIFORM),
    **dict.fromkeys(("bernoulli", "flip", "coin", "Bernoulli"), COIN),
    **dict.fromkeys(
        (
            "random",
            "rand",
            "choice",
            "choose",
            "sample",
            "normal",
            "gauss",
            "gaussian",
            "poisson",
            "binomial",
            "categorical",
        ),
        DRAWN,
    ),
    **dict.fromkeys(("pow", "power"), "there is no power operator; multiply, or write a def"),
    **dict.fromkeys(("square", "sqr"), "multiply, or write a def"),
    **dict.fromkeys(("round",), "floor(x + 1/2)"),
    **dict.fromkeys(("ceil", "ceiling"), "-floor(-x)"),
    **dict.fromkeys(
        ("trunc", "truncate", "toint", "to_int", "Int"),
        "floor(x) is the greatest int that is not above x",
    ),
    **dict.fromkeys(("sqrt", "exp", "log", "ln", "sin", "cos", "tan", "tanh"), _ROUGH),
    **dict.fromkeys(
        ("float", "double", "real", "frac", "rational", "to_real"),
        "an int may stand where a rat is asked for; / gives a rat",
    ),
    **dict.fromkeys(("rem", "remainder", "modulo"), "a mod b"),
    **dict.fromkeys(("quot", "quotient"), "a div b"),
    **dict.fromkeys(("xor",), "of tests it is a != b, of bits a ^ b"),
    **dict.fromkeys(("iff", "equals", "eq"), "a == b"),
    **dict.fromkeys(("sign", "sgn", "signum"), "if x > 0 then 1 else if x < 0 then -1 else 0"),
    **dict.fromkeys(("clip", "limit", "bound"), "clamp(x, low, high)"),
    **dict.fromkeys(("next", "succ_state"), "the next value of x is x'"),
    **dict.fromkeys(
        ("prev", "previous", "last"),
        "what was before is kept in a state variable, or in memory",
    ),
    **dict.fromkeys(("ite", "cond", "iif", "select"), "if c then a else b"),
    **dict.fromkeys(("range",), "a range is written low..high; both ends belong to it"),
    **dict.fromkeys(("count", "countif"), _BITS_OF_LIST),
    **dict.fromkeys(("index", "ordinal", "number"), "ord(e) is the number of a member"),
    **dict.fromkeys(
        ("succ", "pred"), "E(ord(e) + 1) is the next member of an enum E, where there is one"
    ),
    **dict.fromkeys(("print", "debug"), "a machine prints nothing; godel eval shows values"),
}
"""Functions that other languages have, and how the same is said here."""

OVER_ARRAYS: dict[str, str] = {
    **dict.fromkeys(("len", "length", "size", "card"), "len"),
    **dict.fromkeys(("sum", "total"), "sum"),
    **dict.fromkeys(("prod", "product"), "prod"),
    **dict.fromkeys(("any", "some"), "any"),
    **dict.fromkeys(("all", "every"), "all"),
    **dict.fromkeys(("max", "maximum"), "max"),
    **dict.fromkeys(("min", "minimum"), "min"),
}
"""Functions of whole arrays elsewhere, by what they work out; here a fold, forall or exists says each."""

CATCH_ALL = ("_", "default", "otherwise", "other", "others")
"""Names of the arm that takes all the rest elsewhere."""


def over_array(word: str, array: str, length: int, index: str | None) -> str:
    """How a function of a whole array is said here; index is the enum by which the array is indexed, if any."""
    at = f"{array}[{f'{index}(i)' if index else 'i'}]"
    first = f"{array}[{f'{index}(0)' if index else '0'}]"
    turns = f"i in 0..{length - 1}"
    match OVER_ARRAYS[word]:
        case "len":
            return f"this array has {length} entries, as its type says; a const gives such a number a name"
        case "sum":
            return f"fold n = 0 for {turns}: n + {at}"
        case "prod":
            return f"fold n = 1 for {turns}: n * {at}"
        case "any":
            return f"exists {turns}: {at}"
        case "all":
            return f"forall {turns}: {at}"
        case extreme:
            return (
                first
                if length == 1
                else f"fold n = {first} for i in 1..{length - 1}: {extreme}(n, {at})"
            )
