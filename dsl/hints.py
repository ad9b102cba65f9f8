"""Say in the reader's words what a syntax error found and expected, with a hint for habits from other languages."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from dsl.errors import Diagnostic
from dsl.forms import NEAR, find_form
from dsl.habits import (
    FOREIGN_ITEMS,
    FOREIGN_OPERATORS,
    FOREIGN_SETTINGS,
    FOREIGN_TYPES,
    HABITS,
)
from dsl.limits import span_at
from dsl.span import Span
from dsl.syntax import KEYWORDS


@dataclass(frozen=True, slots=True)
class Found:
    """Where reading stopped: the kind of token and its text (empty at the end of the file)."""

    kind: str
    text: str
    span: Span


_STARTED = re.compile(r"\b(state|memory)[ \t]+(\w+)[ \t]*:[^={}#]*$")
_BARE = re.compile(r"\b(int|rat)\s+$")
_TYPED = re.compile(r"(?::|\bof)\s*$")
_EXAMPLES = {"int": "0..9", "rat": "0..1"}
_CURLY = ("\u2019", "\u2032")
_LOOPS = ("while", "loop", "repeat")
_NAMING = "action|adversary|chance|const|def|enum|let|machine|memory|param|policy|require|state|table|unknown"
_OPERATORS = ("and", "or", "implies", "div", "mod")
BLOCKS: tuple[str, ...] = ("CHANCE", "POLICY", "ENVIRONMENT")
"""Of each block, and of the top level, a kind that begins an item there and nowhere else."""
_HOMES: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset("STATE UNKNOWN ASSUME ACTION ADVERSARY CHANCE REWARD DONE OBSERVE".split()),
        "inside `environment { … }`",
    ),
    (frozenset("MEMORY PARAM POLICY".split()), "inside `agent { … }`"),
    (
        frozenset("ENUM REQUIRE ENVIRONMENT UTILITY AGENT MACHINE".split()),
        "at the top level, outside of every block; is a `}` missing above?",
    ),
)
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
        "a declaration (`enum`, `const`, `table`, `def`, `require`) or a block (`environment`, `utility`, `agent`)",
    ),
    (
        "CHANCE",
        frozenset(
            "STATE UNKNOWN ASSUME ACTION ADVERSARY CHANCE LET PRIMED REWARD DONE TABLE CONST DEF OBSERVE REPORT".split()
        ),
        "an item (`state`, `observe`, `action`, `chance`, `unknown`, `assume`, `adversary`, `let`, `x' =`, `reward`, "
        "`done`, `const`, `table`, `def`)",
    ),
    (
        "POLICY",
        frozenset("MEMORY PARAM TABLE DEF POLICY".split()),
        "a slot (`memory`, `param`, `table`, `def`, `policy`)",
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
        _form(found, accepts, text)
        or _foreign_spelling(found, text)
        or _foreign_form(found, accepts, text, before)
        or _incomplete(found, accepts, text, before)
        or _foreign_word(found, accepts, text, before)
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
    fit = find_form(text, found.span.start, accepts, speaks=False)
    hint = fit.hint if fit else _advice(found, accepts, text, before)
    notes = () if found.text else _unclosed(text)
    return Diagnostic("G001", f"expected {wanted}, found {what}", found.span, notes, hint)


def _form(found: Found, accepts: frozenset[str], text: str) -> Diagnostic | None:
    fit = find_form(text, found.span.start, accepts, speaks=True)
    if fit is None:
        return None
    span = span_at(text, fit.start, fit.end - fit.start)
    return Diagnostic(fit.code, fit.message, span, help=fit.hint)


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
    if "STRING" in rest:
        words.append("a name in quotes")
        rest -= {"STRING"}
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
    elif before.kind == "NAME" and before.text in FOREIGN_TYPES and not after:
        if _TYPED.search(text, max(0, before.span.start - NEAR), before.span.start):
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
    for mark in reversed(list(re.finditer(r"[\[\](){}]", text[max(0, comma - NEAR) : comma]))):
        depth += 1 if mark.group() in "])}" else -1
        if depth < 0:
            before = text[max(0, comma - NEAR) : comma][: mark.start()].rstrip()
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
        found_word = _BARE.search(text, max(0, before.span.start - NEAR), before.span.start)
        bare = span_at(text, found_word.start(1), 3) if found_word else None
    if bare is not None:
        word = text[bare.start : bare.end]
        hint = f"give the least and the greatest value: `{word} low..high`, as in `{word} {_EXAMPLES[word]}`"
        return Diagnostic("G047", f"`{word}` without a range", bare, help=hint)
    if "ASSIGN" in accepts:
        near = text[max(0, found.span.start - NEAR) : found.span.start]
        item = _STARTED.search(near)
        if item:
            word, name = item.groups()
            message = f"`{word} {name}` has no start"
            hint = "write `= value`"
            if word == "state":
                hint += ", `= { value: weight, … }`, or `= any` for every value of the type"
            return Diagnostic("G047", message, found.span, help=hint)
    return None


def _foreign_word(
    found: Found, accepts: frozenset[str], text: str, before: Found
) -> Diagnostic | None:
    """Words of other languages, and words of this one that are written large."""
    together = found.span.line == before.span.end_line
    for word in (found, before) if together else (found,):
        small = word.text.lower()
        if word.kind != "NAME" or word.text == small or small not in KEYWORDS:
            continue
        fits = small.upper() in accepts or (small in _OPERATORS and "OPERATOR" in accepts)
        if (word is before or fits) and not _declares(text, word.text):
            message = f"the words of the language are in small letters, found `{word.text}`"
            return Diagnostic("G002", message, word.span, help=f"write `{small}`")
    if not re.fullmatch(r"\w+", found.text):
        return None
    hint = FOREIGN_OPERATORS.get(found.text) if together and "OPERATOR" in accepts else None
    if not accepts.isdisjoint(BLOCKS) and (not together or before.kind == "LBRACE"):
        named = text[found.span.end :].lstrip()[:1] not in ("=", "'", ":")
        hint = FOREIGN_ITEMS.get(found.text) if named else None
    if hint is None:
        return None
    message = f"`{found.text}` is not part of the language"
    return Diagnostic("G002", message, found.span, help=hint)


def _declares(text: str, name: str) -> bool:
    """Whether a text gives something this name."""
    return bool(re.search(rf"\b(?:{_NAMING})\s+{name}\b|\benum\s+\w+\s*\{{[^}}]*\b{name}\b", text))


def foreign_type(name: str, span: Span) -> Diagnostic:
    """The fault of a type that other languages have."""
    message = f"`{name}` is a type of another language"
    return Diagnostic("G049", message, span, help=FOREIGN_TYPES[name])


def _advice(found: Found, accepts: frozenset[str], text: str, before: Found) -> str | None:
    following = text[found.span.end :].lstrip()[:2]
    if "MACHINE" in accepts:
        return "a file begins with `machine NAME`"
    if "STRING" in accepts and found.kind != "RBRACE":
        return f'operations stand in quotes: `"{found.text}": 2`'
    misplaced = _misplaced(found, accepts, text, following)
    if misplaced is not None:
        return misplaced
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
    if "COMMA" in accepts and found.kind not in ("$END", "RBRACE", "RSQB", "RPAR"):
        return "entries are separated by `,`"
    if found.kind not in ("NAME", "$END") and re.fullmatch(r"[a-z]+", found.text):
        if "NAME" in accepts and "LPAR" not in accepts and len(accepts) <= 3:
            return f"`{found.text}` is a word of the language and cannot be a name"
    if "DOTS" in accepts:
        return "a range is written `low..high`; what is chosen or changes needs one"
    if found.kind in ("ASSIGN", "COLON") and before.kind == "NAME" and "MATCH" in accepts:
        name = FOREIGN_SETTINGS.get(before.text, before.text)
        rest = '{ "*": 3 }' if name == "costs" else "…"
        return f"a setting has no `{found.text}`: `{name} {rest}`"
    words = [kind.lower() for kind in accepts if kind.lower() in KEYWORDS]
    near = get_close_matches(found.text, words, n=1, cutoff=0.75) if found.kind == "NAME" else []
    return f"did you mean `{near[0]}`?" if near else None


def _misplaced(found: Found, accepts: frozenset[str], text: str, following: str) -> str | None:
    """Where an item belongs that stands in the wrong block, or how one is begun that begins with a name."""
    block = next((b for b in BLOCKS if b in accepts), None)
    if block is None or found.kind in accepts:
        return None
    for kinds, where in _HOMES:
        if found.kind in kinds:
            return f"`{found.text}` stands {where}"
    if found.kind == "LET":
        return (
            "a constant is `const NAME = e`, in `agent` `param NAME: T = e`; "
            "`let` stands in the environment, in policies and in expressions"
        )
    if found.kind == "CONST":
        return "a constant of the program is `param NAME: T = e`; `const` stands outside of `agent`"
    if found.kind == "PRIMED":
        return "a next value stands inside `environment { … }`, one of memory inside `policy { … }`"
    if found.kind != "NAME" or following[:1] not in ("=", ":") or following == "==":
        return None
    name = found.text
    if following[:1] == ":":
        return {
            "CHANCE": f"a state variable is `state {name}: T = e`",
            "POLICY": f"a constant of the program is `param {name}: T = e`, what it remembers `memory {name}: T = e`",
            "ENVIRONMENT": f"a constant with a type is `table {name}: T = e`",
        }[block]
    if block == "POLICY":
        return "what is decided stands inside `policy { … }`"
    if block == "ENVIRONMENT":
        return f"a constant is `const {name} = e`"
    if re.search(rf"\baction\s+{name}\b", text):
        return f"{name} is an action, which the policy decides"
    state = re.fullmatch(r"(?:next|new)_?(\w+)|(\w+?)_?(?:next|new)", name)
    of = (state[1] or state[2]) if state else name
    if re.search(rf"\bstate\s+{of}\b", text):
        return f"the next value of `{of}` is `{of}' = …`"
    return f"a value of the step is `let {name} = …`, a next value is `{name}' = …`"
