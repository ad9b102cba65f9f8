"""Say in the reader's words what a syntax error found and expected, with a hint for habits from other languages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from dsl.errors import Diagnostic
from dsl.limits import span_at
from dsl.span import Span
from dsl.syntax import KEYWORDS


@dataclass(frozen=True, slots=True)
class Found:
    """Where reading stopped: the kind of token and its text (empty at the end of the file)."""

    kind: str
    text: str
    span: Span


HABITS: tuple[tuple[str, str], ...] = (
    ("===", "equality is `==`"),
    ("!==", "inequality is `!=`"),
    ("==>", "implication is `implies`"),
    ("<=>", "two tests agree when `==` says so"),
    ("&&", "write `and`"),
    ("||", "write `or`"),
    ("**", "there is no power operator; multiply, or write a `def`"),
    ("//", "division that floors is `div`; a comment starts with `#`"),
    ("/*", "a comment starts with `#` and ends with its line"),
    (":=", "a definition is written with `=`"),
    ("->", "implication is `implies`; the result of a `def` stands after `:`"),
    ("=>", "implication is `implies`; an arm of a `match` is `pattern: value`"),
    ("<>", "inequality is `!=`"),
    ("++", "there is no `++`; write `+ 1`"),
    ("+=", "nothing is updated in place; a next value is `x' = x + …`"),
    ("-=", "nothing is updated in place; a next value is `x' = x - …`"),
    ("!", "write `not`, or `!=` for inequality"),
    ("%", "the remainder is `mod`"),
    ("?", "a choice is written `if c then a else b`"),
    (";", "items need no separator"),
    ("$", "names are made of letters, digits and `_`"),
    ("@", "names are made of letters, digits and `_`"),
    ('"', "there are no strings; use the members of an `enum`"),
    ("'", "only the name of a state variable takes a `'`: its next value"),
    ("\u2264", "write `<=`"),
    ("\u2265", "write `>=`"),
    ("\u2260", "write `!=`"),
    ("\u2227", "write `and`"),
    ("\u2228", "write `or`"),
    ("\u00ac", "write `not`"),
    ("\u2192", "implication is `implies`"),
    ("\u21d2", "implication is `implies`"),
    ("\u00d7", "write `*`"),
    ("\u00f7", "write `/`, or `div` to floor"),
    ("\u2212", "write `-`"),
    ("\u2019", "the next value of `x` is `x'`, with a straight quote"),
    ("\ufeff", "save the file as UTF-8 without a byte order mark"),
)
"""What people bring along from other languages, longest first where one begins another."""

_EXACT = "numbers are exact here: write `rat`, or `rat low..high`; `0.05` is exactly 1/20"
_WHOLE = "write `int low..high`, or `int` in a parameter or a result"
_MACHINE_WORD = "write `bits[n]` for arithmetic modulo 2^n, or `int low..high`"
_TEXT = "there are no strings; declare an `enum` of what may be said"
_LIST = "write `array[n] of T`"
FOREIGN_TYPES: dict[str, str] = {
    **dict.fromkeys(("float", "double", "real", "Float", "Real", "decimal", "number"), _EXACT),
    **dict.fromkeys(("integer", "Int", "Integer", "nat", "long", "short"), _WHOLE),
    **dict.fromkeys(("uint", "byte", "bitvec", "BitVec", "unsigned", "word"), _MACHINE_WORD),
    **{f"{sign}{n}": _MACHINE_WORD for sign in ("u", "i", "int", "uint") for n in (8, 16, 32, 64)},
    **dict.fromkeys(("boolean", "Bool", "Boolean"), "write `bool`"),
    **dict.fromkeys(("str", "string", "String", "char", "text"), _TEXT),
    **dict.fromkeys(("list", "List", "tuple", "vector", "Array"), _LIST),
    **dict.fromkeys(("void", "None", "unit"), "every `def` has a value; say of which type it is"),
}
"""Types that other languages have, and what is written instead; an enum may still have such a name."""

_NEAR = 400  # how far back the beginning of an item is looked for
_STARTED = re.compile(r"\b(state|memory)[ \t]+(\w+)[ \t]*:[^={}#]*$")
_BARE = re.compile(r"\b(int|rat)\s+$")
_TYPED = re.compile(r"(?::|\bof)\s*$")
_CURLY = ("\u2019", "\u2032")
_LOOPS = ("while", "loop", "repeat")
_UPDATE = re.compile(r"\([ \t]*[A-Za-z_][A-Za-z0-9_]*'[ \t]*=(?!=)")
_EXPRESSION = frozenset(
    "LPAR LSQB ROW CELLS NUMERAL DECIMAL HEX TRUE FALSE NAME PRIMED IF LET FOLD FORALL EXISTS MATCH MINUS TILDE NOT INT "
    "BITS SEXT".split()
)
_AFTER_EXPRESSION = frozenset("OPERATOR MINUS SLASH BAR WITH LSQB LPAR DOT".split())
_GROUPS: tuple[tuple[str, frozenset[str], str], ...] = (
    # a token that tells the group, the tokens it stands for, how it is called
    (
        "ENVIRONMENT",
        frozenset("ENUM CONST TABLE DEF ENVIRONMENT UTILITY REQUIRE AGENT SEARCHER SEARCH".split()),
        "a declaration (`enum`, `const`, `table`, `def`) or a block (`environment`, `utility`, `agent`)",
    ),
    (
        "CHANCE",
        frozenset(
            "STATE UNKNOWN ASSUME ACTION ADVERSARY CHANCE LET PRIMED REWARD DONE TABLE CONST DEF OBSERVE REPORT".split()
        ),
        "an item (`state`, `action`, `chance`, `let`, `x' =`, `reward`, `done`)",
    ),
    (
        "POLICY",
        frozenset("MEMORY PARAM TABLE DEF POLICY".split()),
        "a slot (`param`, `table`, `def`, `policy`)",
    ),
    (
        "FAMILY",
        frozenset("FAMILY SWITCH PRICES WORLD UTILITY REQUIRE".split()),
        "an item of `search`",
    ),
    ("BITS", frozenset("BOOL INT RAT BITS ARRAY NAME".split()), "a type"),
)


def explain(
    found: Found, accepts: frozenset[str], *, text: str, spelling: dict[str, str], before: Found
) -> Diagnostic:
    """The fault at `found`, where only the kinds in `accepts` could have stood."""
    better = (
        _foreign_spelling(found, text)
        or _foreign_form(found, accepts, text, before)
        or _incomplete(found, accepts, text, before)
    )
    if better is not None:
        return better
    if before.kind == "NAME":  # a setting of a utility; no map follows a name
        accepts -= {"LBRACE"} if "MATCH" in accepts else frozenset()
    if found.kind == "CHARACTER":
        message = f"the character `{found.text}` (U+{ord(found.text):04X}) cannot stand here"
        plain = "names are made of the letters a to z and A to Z, digits and `_`"
        hint = plain if found.text.isalnum() else None
        return Diagnostic("G044", message, found.span, help=hint)
    wanted = describe(accepts, spelling)
    what = f"`{found.text}`" if found.text else "the end of the file"
    hint = _advice(found, accepts, text, before)
    notes = () if found.text else _unclosed(text)
    return Diagnostic("G001", f"expected {wanted}, found {what}", found.span, notes, hint)


def _unclosed(text: str) -> tuple[str, ...]:
    """A note on the innermost bracket that the text leaves open."""
    opened: list[int] = []
    for mark in re.finditer(r'[\[({\])}]|#[^\n]*|"[^"\n]*"', text):
        if mark.group() in ("[", "(", "{"):
            opened.append(mark.start())
        elif mark.group() in ("]", ")", "}") and opened:
            opened.pop()
    if not opened:
        return ()
    line = text.count("\n", 0, opened[-1]) + 1
    return (f"the `{text[opened[-1]]}` of line {line} is not closed",)


def describe(accepts: frozenset[str], spelling: dict[str, str]) -> str:
    """What could stand there, in words."""
    words: list[str] = []
    rest = set(accepts)
    if {"LPAR", "MATCH", "NUMERAL"} <= rest:
        words.append("an expression")
        rest -= _EXPRESSION | {"FOR"}
        if "LBRACE" in rest:
            words.append("a distribution `{ value: weight, … }`")
            rest -= {"LBRACE"}
    elif {"LBRACE", "IF", "MATCH"} <= rest:
        words.append("a distribution `{ value: weight, … }`")
        rest -= {"LBRACE", "IF", "MATCH", "LET"}
    elif "OPERATOR" in rest:
        rest -= _AFTER_EXPRESSION
        if not rest - {"$END"}:
            words.append("an operator")
    for sign, group, name in _GROUPS:
        if sign in rest and len(rest & group) > 2:
            words.append(name)
            rest -= group
    for kind, name in (("NAME", "a name"), ("PRIMED", "`x' = …`"), ("NUMERAL", "a number")):
        if kind in rest:
            words.append(name)
    if "NUMERAL" in rest:
        rest -= {"DECIMAL", "HEX"}
    rest -= {"NAME", "PRIMED", "NUMERAL"}
    words += sorted(spelling[k] for k in rest if k != "$END")
    if "$END" in rest and not words:
        words.append("the end of the file")
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _foreign_spelling(found: Found, text: str) -> Diagnostic | None:
    at = found.span.start
    end = found.span.end
    if found.kind == "NAME" and text.startswith(_CURLY, end):
        span = Span(
            found.span.line, found.span.end_column, found.span.line, found.span.end_column + 1
        )
        message = f"`{text[end]}` is not part of the language"
        hint = f"the next value of `{found.text}` is `{found.text}'`, with a straight quote"
        return Diagnostic("G002", message, replace(span, start=end, end=end + 1), help=hint)
    for spelling, hint in HABITS:
        for start in range(at, at - len(spelling), -1):
            if start < 0 or not text.startswith(spelling, start):
                continue
            if spelling != "!" or not text.startswith("!=", start):
                span = _stretch(found.span, start, len(spelling))
                return Diagnostic(
                    "G002", f"`{spelling}` is not part of the language", span, help=hint
                )
    return None


def _stretch(span: Span, start: int, length: int) -> Span:
    column = span.column - (span.start - start)
    return Span(span.line, column, span.line, column + length, start, start + length)


def _foreign_form(
    found: Found, accepts: frozenset[str], text: str, before: Found
) -> Diagnostic | None:
    """Habits that show in the order of tokens rather than in one of them."""
    after = "OPERATOR" in accepts
    message: str | None = None
    hint = ""
    span = found.span
    if _UPDATE.match(text, found.span.start) or _UPDATE.match(text, before.span.start - 1):
        message, hint = "an update in parentheses", "a next value is an item of its own: `x' = e`"
    elif found.text == "==" and "ASSIGN" in accepts:
        message, hint = "`==` in a definition", "a definition is written with `=`"
    elif found.kind == "ASSIGN" and after and "DOTS" not in accepts:
        message, hint = "`=` in a test", "equality is `==`"
    elif found.kind in ("COLON", "LBRACE") and "THEN" in accepts:
        message = f"`{found.text}` after a test"
        hint = "a choice is written `if c then a else b`"
    elif found.kind == "COMMA" and after and "RSQB" in accepts and "COMMA" not in accepts:
        message, hint = _several_indices(text, found.span.start)
    elif before.kind == "NAME" and before.text in FOREIGN_TYPES and "ASSIGN" in accepts:
        if _TYPED.search(text, max(0, before.span.start - _NEAR), before.span.start):
            return foreign_type(before.text, before.span)
    elif found.kind in ("LSQB", "ROW") and "CHANCE" in accepts:
        message = "a command in brackets"
        hint = (
            "a next value is `x' = e` for all states, a draw `chance c: T = { value: weight, … }`"
        )
    elif before.text == "return":
        message, hint = "`return` is not part of the language", "the value stands after `=`"
        span = before.span
    elif found.text in ("elif", "elsif", "elseif"):
        message, hint = f"`{found.text}` is not part of the language", "write `else if`"
    elif found.kind == "IF" and after and found.span.line == before.span.end_line:
        message, hint = "`if` after a value", "a choice is written `if c then a else b`"
    elif found.kind == "COLON" and after and "DOTS" not in accepts:
        message, hint = "`:` after a value", "a distribution is written `{ value: weight, … }`"
    elif before.text in _LOOPS and found.span.line == before.span.line:
        message = f"`{before.text}` is not part of the language"
        hint = "there are no loops; arrays are built with `[for i in a..b: e]`"
        span = before.span
    if message is None:
        return None
    return Diagnostic("G002", message, span, help=hint)


def _several_indices(text: str, comma: int) -> tuple[str | None, str]:
    """What to say about a comma in brackets that hold an index or the length of an array."""
    depth = 0
    for mark in reversed(list(re.finditer(r"[\[\](){}]", text[max(0, comma - _NEAR) : comma]))):
        depth += 1 if mark.group() in "])}" else -1
        if depth < 0:
            before = text[max(0, comma - _NEAR) : comma][: mark.start()].rstrip()
            break
    else:
        return None, ""
    if re.search(r"\barray$", before):
        return "two lengths in one `array`", "write `array[n] of array[m] of T`"
    if re.search(r"[\w'\])]$", before):
        return "two indices in one pair of brackets", "write `T[i][j]`, one index after the other"
    return None, ""


def _incomplete(
    found: Found, accepts: frozenset[str], text: str, before: Found
) -> Diagnostic | None:
    """A range or a start that is missing."""
    bare = None
    if before.kind in ("INT", "RAT") and {"LPAR", "MATCH"} <= accepts:
        bare = before.span
    elif found.kind in ("ASSIGN", "COLON") and "DOTS" in accepts:  # it took the next item's name
        found_word = _BARE.search(text, max(0, before.span.start - _NEAR), before.span.start)
        bare = span_at(text, found_word.start(1), 3) if found_word else None
    if bare is not None:
        word = text[bare.start : bare.end]
        hint = f"what changes or is chosen needs a finite type: `{word} low..high`"
        return Diagnostic("G047", f"`{word}` without a range", bare, help=hint)
    if "ASSIGN" in accepts:
        near = text[max(0, found.span.start - _NEAR) : found.span.start]
        item = _STARTED.search(near)
        if item:
            word, name = item.groups()
            message = f"`{word} {name}` has no start"
            hint = "write `= value`"
            if word == "state":
                hint += ", `= { value: weight, … }`, or `= any` for every value of the type"
            return Diagnostic("G047", message, found.span, help=hint)
    return None


def foreign_type(name: str, span: Span) -> Diagnostic:
    """The fault of a type that other languages have."""
    message = f"`{name}` is a type of another language"
    return Diagnostic("G049", message, span, help=FOREIGN_TYPES[name])


def _advice(found: Found, accepts: frozenset[str], text: str, before: Found) -> str | None:
    following = text[found.span.end :].lstrip()[:2]
    if "MACHINE" in accepts:
        return "a file begins with `machine NAME`"
    if found.kind == "LBRACE" and "LPAR" in accepts and "MATCH" in accepts:
        return "a distribution stands only after `chance … =` and `state … =`"
    if found.kind in ("COMMA", "RBRACE") and "COLON" in accepts and "OPERATOR" in accepts:
        return "an entry is written `value: weight`"
    if found.kind == "NOT" or (found.kind in ("IF", "LET", "FOLD", "FORALL", "EXISTS")):
        if "LPAR" in accepts and "MATCH" in accepts:
            return f"inside an operand it stands in parentheses: `({found.text} …)`"
        if found.kind == "IF" and "PRIMED" in accepts:
            return "`if` is an expression: `x = if c then a else b`"
    if "ELSE" in accepts and "THEN" not in accepts and "OPERATOR" in accepts:
        return "every `if` has an `else`"
    if found.kind == "NAME" and "CHANCE" in accepts and following[:1] == "=" and following != "==":
        return f"a value of the step is `let {found.text} = …`, a next value is `{found.text}' = …`"
    if "COMMA" in accepts and found.kind not in ("$END", "RBRACE", "RSQB", "RPAR"):
        return "entries are separated by `,`"
    if found.kind not in ("NAME", "$END") and re.fullmatch(r"[a-z]+", found.text):
        if "NAME" in accepts and "LPAR" not in accepts and len(accepts) <= 3:
            return f"`{found.text}` is a word of the language and cannot be a name"
    if "DOTS" in accepts:
        return "a range is written `low..high`; what is chosen or changes needs one"
    if found.kind == "ASSIGN" and before.kind == "NAME" and "MATCH" in accepts:
        return f"a setting has no `=`: `{before.text} …`"
    words = [kind.lower() for kind in accepts if kind.lower() in KEYWORDS]
    near = get_close_matches(found.text, words, n=1, cutoff=0.75) if found.kind == "NAME" else []
    return f"did you mean `{near[0]}`?" if near else None
