"""Habits from other languages that show in how several tokens stand together: a table, one case a row.

A row is looked up where reading stopped. It fits if the text from there on and the text in front have the forms it gives,
and if what could have stood there is what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

NEAR = 400
"""How far back the beginning of an item is looked for."""

Match: TypeAlias = re.Match[str]
Hint: TypeAlias = str | Callable[[Match, Match], str | None]


@dataclass(frozen=True, slots=True)
class Form:
    """What stands there, what stood before, which kinds of token could stand there, and what is said of it.

    The group `mark` of either pattern is the place of the fault; without one it is what was found. `hint` may be worked out
    of the two matches; where it comes to None the row does not fit. Without a message the fault keeps its usual one.
    """

    at: str
    before: str
    needs: str
    message: str
    hint: Hint
    code: str = "G002"


@dataclass(frozen=True, slots=True)
class Fit:
    """A row that fits: what to say, from where to where."""

    code: str
    message: str
    hint: str
    start: int
    end: int


def find_form(text: str, at: int, accepts: frozenset[str], *, speaks: bool) -> Fit | None:
    """The first row that fits a text at an offset where only the kinds in `accepts` could have stood.

    Of the rows that have a message of their own, or of those that do not.
    """
    near = text[max(0, at - NEAR) : at]
    for form, here, behind in _COMPILED:
        if bool(form.message) != speaks or not accepts.issuperset(form.needs.split()):
            continue
        found = here.match(text, at)
        stood = found and behind.search(near)
        if found is None or stood is None:
            continue
        hint = form.hint if isinstance(form.hint, str) else form.hint(found, stood)
        if hint is None:
            continue
        start, end = found.span()
        if "mark" in behind.groupindex:
            start, end = (at - len(near) + i for i in stood.span("mark"))
        elif "mark" in here.groupindex:
            start, end = found.span("mark")
        shown = text[start:end]
        return Fit(form.code, form.message.replace("{}", shown), hint, start, end)
    return None


# --- hints that are worked out -------------------------------------------------------------------


def _power_of_ten(at: Match, before: Match) -> str:
    power = int(re.sub(r"\D", "", at[0]) or 0) * (-1 if "-" in at[0] else 1)
    if abs(power) > 30:
        return "there are no powers of ten; the digits are written out"
    value = Fraction(before[1].replace("_", "")) * Fraction(10) ** power
    return f"write `{value}`"


def _range(kind: str, low: str, high: str) -> str:
    if kind not in ("int", "rat"):
        kind = "rat" if "." in (low + high).replace("..", "") or "/" in low + high else "int"
    return f"write `{kind} {low.strip()}..{high.strip()}`"


def _counted(ends: str) -> str:
    """What stands after `in`, as a range."""
    called = re.fullmatch(r"range\s*\(\s*([^,()]+?)\s*(?:,\s*([^,()]+?)\s*)?\)", ends.strip())
    if called is None:
        return ends.strip()
    low, high = ("0", called[1]) if called[2] is None else (called[1], called[2])
    return (
        f"{low}..{int(high) - 1}" if re.fullmatch(r"[1-9]\d{0,8}", high) else f"{low}..{high} - 1"
    )


def _membership(at: Match, before: Match) -> str:
    subject, rest = before[1], at["rest"].strip()
    listed = re.match(r"[\[{(]([^\[\](){}]*)[\]})]", rest)
    span = re.match(r"(-?[\w./]+?)\s*\.\.\s*(-?[\w./]+)", rest)
    said = f"{rest.split()[0] if rest else 'a'}[i]"
    if listed and listed[1].strip() and ".." not in listed[1]:
        sign, word = ("!=", "and") if at["not_"] else ("==", "or")
        said = f" {word} ".join(f"{subject} {sign} {v.strip()}" for v in listed[1].split(","))
        return f"write `{said}`"
    if listed and ".." in listed[1]:
        span = re.match(r"(-?[\w./]+?)\s*\.\.\s*(-?[\w./]+)", listed[1].strip())
    if span:
        said = f"{span[1]} <= {subject} <= {span[2]}"
        return f"write `not {said}`" if at["not_"] else f"write `{said}`"
    word, sign = ("forall", "!=") if at["not_"] else ("exists", "==")
    return f"write `{word} i in 0..n: {said} {sign} {subject}`"


def _uniform(at: Match, before: Match) -> str | None:
    name = at[2].lower()
    if name in ("bernoulli", "flip", "coin"):
        p = (at[3] or "").strip() or "p"
        return f"write `{{ true: {p}, false: 1 - {p} }}`"
    ends = re.fullmatch(r"\s*(-?\d+)\s*(?:,|\.\.)\s*(-?\d+)\s*", at[3] or "")
    if ends is None or int(ends[1]) > int(ends[2]):
        return "every value has a weight: `{ for i in 0..3: i: 1/4 }`, `{ low: 1/3, high: 2/3 }`"
    low, high = int(ends[1]), int(ends[2])
    return f"equal weights are written out: `{{ for i in {low}..{high}: i: 1/{high - low + 1} }}`"


def _next_value(at: Match, before: Match) -> str:
    return f"the next value of `{at['name']}` is `{at['name']}' = …`"


_DRAW = "write `= { value: weight, … }`, as in `{ true: 1/2, false: 1/2 }`; what is not drawn is `let c = …`"
_REACH = "the form is `within k reach Q from P using F`"
_DEF = "a function is written `def NAME(x: T, …): T = e`"
_ARRAY = "an array is `array[n] of T`, or `array[E] of T` for the members of an enum E"
_FOLD = "write `fold n = start for i in a..b: value`"
_WITH = "a copy with other entries is `a with { i: e, … }`"
_NAME = r"[A-Za-z_]\w*"

FORMS: tuple[Form, ...] = (
    # --- numbers ---
    Form(
        r"[eE](?:\d+|(?=[+-]\d)[+-]\d+)?(?!\w)",
        r"(?<![\w.])(?P<mark>(\d[\d_]*(?:\.\d[\d_]*)?))\Z",
        "",
        "a number with a power of ten",
        _power_of_ten,
    ),
    Form(
        r"(?P<mark>\.\d\w*)",
        r"(?<!\.)\Z",
        "LPAR MATCH",
        "`{}` begins with a point",
        lambda at, _: f"write `0{at[0]}`",
    ),
    Form(
        r"(?P<mark>\.)(?![.\w])",
        r"(?<![\w.])(\d[\d_]*)\Z",
        "",
        "a number that ends with a point",
        lambda _, b: f"write `{b[1]}`",
    ),
    # --- types ---
    Form(
        r"(?:[^\n]*?[\])])?",
        r"[:f]\s*(?P<mark>(int|rat)\s*[\[(]\s*(-?[\w./]+(?:\s*[-+*]\s*\w+)*)(?:\s*(?:,|\.\.|\bto\b)\s*(-?[\w./]+(?:\s*[-+*]\s*\w+)*)\s*[\])])?\s*)\Z",
        "",
        "a range in brackets",
        lambda at, b: _bracketed(at, b),
    ),
    Form(
        r"(?P<mark>,|:|to\b|until\b|through\b)\s*(-?[\w./]+)",
        r"[:f]\s*(int|rat)\s+(-?[\w./]+)\s*\Z",
        "DOTS",
        "`{}` in a range",
        lambda at, b: _range(b[1], b[2], at[2]),
    ),
    Form(
        r"=|,|\)|$",
        r"[:f]\s*(?P<mark>(int|rat)\s+(-?\w+)\s*-\s*(\w+))\s*\Z",
        "DOTS",
        "`-` in a range",
        lambda _, b: _range(b[2], b[3], b[4]),
    ),
    Form(
        r"(?P<mark>[\[(]?\s*(-?[\w/]+(?:\.\d+)?)\s*(?:\.\.|,)\s*(-?[\w/]+(?:\.\d+)?)\s*[\])]?)",
        r":\s*\Z|\bof\s*\Z",
        "BITS BOOL",
        "a range without `int` or `rat`",
        lambda at, _: _range("", at[2], at[3]),
    ),
    Form(
        r"(?P<mark>\{|enum\b)",
        r":\s*\Z|\bof\s*\Z",
        "BITS BOOL",
        "an enum without a name",
        "declare it at the top level: `enum NAME { member, … }`",
    ),
    # --- definitions ---
    Form(
        r"(?P<mark>:)(?!=)",
        r"\b(const|let)\s+(\w+)\s*\Z",
        "ASSIGN",
        "a type after the name of a `const` or `let`",
        lambda _, b: _untyped(b),
    ),
    Form(
        r"=(?!=)",
        rf"(?<!\w)(unknown|adversary|action|report)\s+{_NAME}\s*:[^={{}}#'\n]*(?<!\.)\Z",
        "",
        "a start where none can stand",
        lambda _, b: _without_start(b),
        "G001",
    ),
    Form(
        r"",
        rf"\b(state|chance|memory|param|table|unknown|adversary|action)\s+({_NAME})\s*\Z",
        "COLON",
        "",
        lambda _, b: (
            f"say which values it has: `{b[1]} {b[2]}: T"
            + (" = …`" if b[1] in ("state", "chance", "memory", "param", "table") else "`")
        ),
        "G001",
    ),
    Form(
        r"[,)]",
        r"\bdef\s+\w+\s*\([^)]*?(\w+)\s*\Z",
        "COLON",
        "",
        lambda _, b: f"a parameter has a type: `{b[1]}: int`",
        "G001",
    ),
    Form(
        r"=(?!=)",
        r"\bdef\s+\w+\s*\([^)]*\)\s*\Z",
        "COLON",
        "",
        f"the result has a type too; {_DEF}",
        "G001",
    ),
    Form(r"->", r"\bdef\s+\w+\s*\([^)]*\)\s*\Z", "", "`->` is not part of the language", _DEF),
    Form(r"\{", r"\bdef\s+\w+\s*\([^)]*\)\s*(?::[^={}]*)?\Z", "", "a body in braces", _DEF),
    Form(
        r"\S",
        r"\bdef\s+\w+\s*\([^)]*\)\s*:\s*\n\s*(?P<mark>return)\s+\Z",
        "",
        "`{}` is not part of the language",
        _DEF,
    ),
    Form(
        r"\S",
        r"\bdef\s+\w+\s*\([^)]*\)\s*(?P<mark>:)\s*\n\s*[^\s={}][^={}\n]*\Z",
        "",
        "a body after `:`",
        _DEF,
    ),
    Form(
        r"if\b|let\b|match\b|\d|\(|-|fold\b",
        r"\bdef\s+\w+\s*\([^)]*\)\s*(?P<mark>:)\s*\Z",
        "BITS BOOL",
        "a body after `:`",
        _DEF,
    ),
    Form(
        r"=|\(|:",
        r"\benum\s+\w+\s*\Z",
        "LBRACE",
        "",
        "members stand in braces: `enum NAME { member, … }`",
        "G001",
    ),
    Form(
        r"\{",
        r"\b(?:table|param|memory|const)\s+\w+\s*(?::[^={}#]*)?=\s*\Z",
        "LPAR MATCH",
        "",
        "an array lists its entries, by members in their order: `[1, 2]`",
        "G001",
    ),
    Form(r"[<(\w]", r"\barray\s*(?:\[[^\]]*\]\s*)?\Z", "", "", _ARRAY, "G001"),
    Form(r"[=,)]", r":\s*(?:int|rat)\s*\[\s*\w+\s*\]\s*\Z", "DOTS", "", _ARRAY, "G001"),
    Form(r"[\[<]", r":\s*\Z|\bof\s*\Z", "BITS BOOL", "", _ARRAY, "G001"),
    Form(
        rf"(?P<name>{_NAME})",
        rf"\bdef\s+\w+\s*\([^)]*?({_NAME}|int|rat|bool)\s*\Z",
        "COLON",
        "",
        lambda at, b: f"the type stands behind the name: `{at['name']}: {b[1]}`",
        "G001",
    ),
    Form(
        rf"(rat|int|bool)\s+(?P<name>{_NAME})",
        r"\b(state|memory|param|table|chance|action|unknown|adversary)\s+\Z",
        "NAME",
        "",
        lambda at, b: f"the type stands behind the name: `{b[1]} {at['name']}: {at[1]} …`",
        "G001",
    ),
    Form(
        rf"(rat|int|bool)\s+(?P<name>{_NAME})",
        r"\bdef\s+\w+\s*\((?:[^)]*,\s*)?\Z",
        "NAME",
        "",
        lambda at, _: f"the type stands behind the name: `{at['name']}: {at[1]}`",
        "G001",
    ),
    Form(
        r"-\s*\w",
        r"\b(?:machine|enum|const|def|state|action|chance|policy|require)\s+\w+\Z",
        "",
        "",
        "names are made of letters, digits and `_`",
        "G001",
    ),
    Form(
        r"\{",
        r"\bmachine\s+\w+\s*\Z",
        "ENVIRONMENT",
        "",
        "`machine NAME` stands alone; its blocks follow, without braces around them",
        "G001",
    ),
    Form(
        r"[\w:=]",
        r"\b(?P<word>environment|utility|agent)\s*\Z",
        "LBRACE",
        "",
        lambda _, b: f"write `{b['word']} {{ … }}`: there is one, and it has no name",
        "G001",
    ),
    Form(r",", r"\butility\s*\{[^{}]*\Z", "NAME", "", "settings need no separator", "G001"),
    Form(r"[^{\s]", r"\bfold\b[^:{}]*\Z", "FOR", "", _FOLD, "G001"),
    Form(r"[^\w\s]", r"\bfold\s*\Z", "NAME", "", _FOLD, "G001"),
    Form(
        r"else\b", r"\{[^{}]*\Z", "LPAR MATCH", "", "every value is written with its weight", "G001"
    ),
    Form(
        r"[\w(]",
        r"=\s*any\s*\Z",
        "WHERE",
        "",
        "write `= any`, or `= any where p`",
        "G001",
    ),
    Form(
        r"(?P<mark>if|when|with|such)\b",
        r"\badversary\s+\w+\s*:[^={}\n]*\Z",
        "WHERE",
        "`{}` behind a type",
        "what may be chosen is limited by `where p`",
    ),
    Form(
        r"\.\.",
        r"\[[^\[\]\n]*\Z",
        "RSQB OPERATOR",
        "",
        "there are no slices; some entries of an array are `[for i in a..b: x[i]]`, the lower bits of x `bits[n](x)`",
        "G001",
    ),
    Form(
        r"(?P<mark>in)[ \t]*(?:\n|\}|#|\Z)",
        r"(?:^|[{\n])[ \t]*let\s+\w+\s*=[^\n]*\Z",
        "OPERATOR",
        "`in` behind a `let` of its own line",
        "a line `let n = e` has no `in`: what stands below reads it",
    ),
    Form(
        r"reward\b",
        r"\brequire\s+\w+\s*:[^{}]*\Z",
        "LPAR MATCH",
        "",
        "a requirement reads states, actions and next values; a sum of rewards is kept in a state variable",
        "G001",
    ),
    Form(r"policy\b|\"", r"\busing\s*\Z", "NAME", "the name alone is wanted", "write `using NAME`"),
    Form(r"\w", r"\brequire\s+\w+\s*:\s*within\b[^{}]*\bwith\s*\Z", "LBRACE", "", _REACH, "G001"),
    Form(
        r";",
        r"[\[{(][^\[\](){}]*\Z",
        "COMMA",
        "`;` between entries",
        "entries are separated by `,`",
    ),
    Form(
        r"%",
        r"(?<![\w.])(\d+)\Z",
        "",
        "`%` is not part of the language",
        lambda at, b: f"of a hundred it is `{b[1]}/100`; the remainder is `mod`",
    ),
    # --- items of an environment ---
    Form(
        rf"(?P<mark>next)\s*\(?\s*(?P<name>{_NAME})",
        r"",
        "CHANCE",
        "`next` is not part of the language",
        _next_value,
    ),
    Form(
        rf"(?P<name>{_NAME})",
        r"\b(?P<mark>next)\s+\Z",
        "",
        "`next` is not part of the language",
        _next_value,
    ),
    Form(rf"(?P<mark>(?P<name>{_NAME})\s+')", r"", "CHANCE", "a space before `'`", _next_value),
    Form(
        rf"(?P<mark>({_NAME})'?\s*\[([^\]\n]*)\]\s*'?)\s*=(?!=)",
        r"",
        "CHANCE",
        "a next value of a single entry",
        lambda at, _: (
            f"an array gets a next value as a whole: `{at[2]}' = {at[2]} with {{ {at[3]}: … }}`"
        ),
    ),
    Form(
        r"\[([^\]\n]*)\]",
        rf"(?P<mark>({_NAME})')\s*\Z",
        "ASSIGN",
        "a next value of a single entry",
        lambda at, b: (
            f"an array gets a next value as a whole: `{b[2]}' = {b[2]} with {{ {at[1]}: … }}`"
        ),
    ),
    Form(
        r"for\b",
        r"",
        "CHANCE",
        "a loop",
        "there are no loops; an array gets a next value as a whole: `x' = [for i in a..b: e]`",
    ),
    # --- draws ---
    Form(
        r"(?P<mark>(uniform|Uniform|randint|discrete_uniform|bernoulli|Bernoulli|flip|coin|choice|random|normal|gaussian|poisson|binomial|categorical))\s*(?:\(([^()\n]*)\))?",
        r"\b(?:chance|state)\s+\w+\s*:[^={}#]*=\s*\Z",
        "LBRACE",
        "`{}` is not part of the language",
        _uniform,
    ),
    Form(r"[^\s{]", r"\bchance\s+\w+\s*:[^={}#]*=\s*\Z", "LBRACE", "", _DRAW, "G001"),
    Form(r"\S", r"\bchance\s+\w+\s*:[^={}#]*\Z", "ASSIGN", "", _DRAW, "G001"),
    Form(
        r"for\s+(\w+)\s+in\s+([^{}\n]+)\}",
        r"\{\s*([^{}\n]*?)\s*\Z",
        "COMMA",
        "the counter comes first",
        lambda at, b: f"write `{{ for {at[1]} in {_counted(at[2])}: {b[1]} }}`",
    ),
    # --- expressions ---
    Form(
        r"(?P<mark>(?P<not_>not\s+)?in\b)\s*(?P<rest>[\[({][^\n]*|[^\n]*)",
        rf"({_NAME}'?|\d+|\)|\])\s*\Z",
        "OPERATOR",
        "`{}` between two values",
        lambda at, b: (
            _membership(at, b)
            if b[1] not in ")]"
            else "write `low <= x <= high`, or `x == a or x == b`"
        ),
    ),
    Form(
        r"for\s+(\w+)\s+in\s+([^\]\n]+)\]",
        r"\[\s*([^\[\]\n]*?(?:\[[^\[\]\n]*\][^\[\]\n]*?)*)\s*\Z",
        "",
        "the counter comes first",
        lambda at, b: f"write `[for {at[1]} in {_counted(at[2])}: {b[1]}]`",
    ),
    Form(
        r"for\b",
        r"\w\s*\([^()\n]*\Z",
        "OPERATOR",
        "a loop inside a call",
        "write `fold n = 0 for i in a..b: n + e`, `forall i in a..b: p` or `exists i in a..b: p`",
    ),
    Form(
        r":",
        r"\bin\s+(?P<mark>(range\s*\([^()\n]*\)))\s*\Z",
        "DOTS",
        "`range` is not part of the language",
        lambda _, b: f"write `{_counted(b[2])}`; both ends belong to it",
    ),
    Form(
        r":",
        rf"\bfor\s+(\w+)\s+in\s+(?P<mark>({_NAME}))\s*\Z",
        "DOTS",
        "a counter that goes over an array",
        lambda _, b: (
            f"a counter is a number: `for {b[1]} in 0..n: …`, with `{b[3]}[{b[1]}]` inside"
        ),
    ),
    Form(
        r"(?P<mark>\[\s*([^\]\n]*?)\s*\]\s*=?\s*([^\s,}]*))",
        r"\bwith\s*\Z",
        "LBRACE",
        "`with` without braces",
        lambda at, _: f"write `with {{ {at[2]}: {at[3] or '…'} }}`",
    ),
    Form(r"\S", r"\bwith\s*\Z", "LBRACE", "", _WITH, "G001"),
    Form(
        r"=(?!=)",
        r"\bwith\s*\{[^{}]*\Z",
        "",
        "`=` in an entry",
        f"an entry is `index: value`; {_WITH}",
    ),
    Form(
        r"=(?!=)",
        r"\b(?:chance|state)\s+\w+\s*:[^={}#]*=\s*\{[^{}]*\Z",
        "",
        "`=` in an entry",
        "an entry is written `value: weight`",
    ),
    Form(
        r"[\w{]",
        r"\b(?P<mark>case)\s+\Z",
        "",
        "`{}` is not part of the language",
        "an arm of a `match` is `pattern: value`",
    ),
    Form(
        r":",
        r"\bmatch\b[^{}\n:]*\Z",
        "LBRACE",
        "`:` after the subject of a `match`",
        "write `match e { pattern: value, … }`",
    ),
    Form(
        r"switch\b",
        r"",
        "LPAR MATCH",
        "`switch` of values",
        "write `match e { pattern: value, … }`",
    ),
    Form(
        r",",
        r"(?<!\w)(?<!\w )\([^()\[\]{}\n]*\Z",
        "RPAR",
        "values in parentheses",
        "there are no tuples; an array is `[a, b]`",
    ),
    Form(
        r"(?P<mark>any)\s*\(",
        r"",
        "LPAR MATCH",
        "`{}` as a function",
        "write `exists i in a..b: p`",
    ),
    Form(
        r"(?P<mark>bool|rat)\s*\(",
        r"",
        "LPAR MATCH",
        "`{}` as a function",
        lambda at, _: (
            "a test compares: `x != 0`"
            if at[1] == "bool"
            else "an int may stand where a rat is asked for"
        ),
    ),
    Form(
        r"(?P<mark>mod|div)\s*\(",
        r"",
        "LPAR MATCH",
        "`{}` as a function",
        lambda at, _: f"it stands between its operands: `a {at[1]} b`",
    ),
    # --- requirements ---
    Form(
        r"(?P<mark>never)\b",
        r"",
        "ALWAYS WITHIN",
        "`{}` is not part of the language",
        "write `always not (…)`",
    ),
    Form(
        r"(?P<mark>eventually|finally|sometime|reach|leads_to|until)\b",
        r"",
        "ALWAYS WITHIN",
        "`{}` begins no requirement",
        "what is reached is `within k reach Q from P using F`",
    ),
    Form(
        r"(?P<mark>invariant|globally|forever|ensure)\b",
        r"",
        "ALWAYS WITHIN",
        "`{}` is not part of the language",
        "write `always P`",
    ),
    Form(
        r"\S",
        r"",
        "ALWAYS WITHIN",
        "",
        "say when: `always P`, or `within k reach Q from P using F`",
        "G001",
    ),
    Form(
        r"always\b|within\b",
        r"\brequire\s*\Z",
        "NAME",
        "",
        "a requirement has a name: `require NAME: always P`",
        "G001",
    ),
    Form(
        r"\S",
        r"\brequire\s+\w+\s*\Z",
        "COLON",
        "",
        "a requirement is `require NAME: always P`",
        "G001",
    ),
    *(
        Form(r"", r"\brequire\s+\w+\s*:\s*within\b[^{}]*\Z", kind, "", _REACH, "G001")
        for kind in ("REACH", "FROM", "USING")
    ),
)
"""The rows, those that say more in front of those that say less."""


def _bracketed(at: Match, before: Match) -> str | None:
    kind, low, high = before[2], before[3], before[4]
    if high is None:
        rest = re.match(r"\s*(?:,|\.\.|-|to\b)\s*([^\])\n]+?)\s*[\])]", at[0])
        if rest is None:
            return None
        high = rest[1]
    return _range(kind, low, high)


def _untyped(before: Match) -> str:
    if before[1] == "let":
        return f"the type is that of the value: `let {before[2]} = …`"
    return f"the type is that of the value: `const {before[2]} = …`; with a type it is `table {before[2]}: T = …`"


def _without_start(before: Match) -> str:
    why = {
        "unknown": "an unknown has no start: it is one value for ever, which nobody knows, out of its type",
        "adversary": "an adversary has no start: it is chosen anew in each step, out of its type",
        "action": "an action has no start: the policy decides it in each step",
        "report": "a report has no start: the language fixes how it starts and goes on",
    }
    return why[before[1]]


_COMPILED = tuple((form, re.compile(form.at), re.compile(form.before)) for form in FORMS)
