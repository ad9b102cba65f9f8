"""What every error code means, with an example and the way out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True, slots=True)
class Page:
    """One code explained; `text` holds what it means, then a broken and a better piece of a machine, indented."""

    title: str
    text: str


def _page(title: str, meaning: str, broken: str, better: str) -> Page:
    blocks = (dedent(block).strip("\n") for block in (broken, better))
    shown = ["\n".join(f"    {line}".rstrip() for line in block.splitlines()) for block in blocks]
    text = f"{dedent(meaning).strip()}\n\nBroken:\n\n{shown[0]}\n\nBetter:\n\n{shown[1]}"
    return Page(title, text)


CODES: Mapping[str, Page] = {
    "G001": _page(
        "syntax",
        """
        The text does not have the form of a machine file at this place. The message says what could stand there and
        what was found. Reading goes on at the next line that begins an item, so that several faults show at once.
        """,
        "reward = if temp > 20 then 1",
        "reward = if temp > 20 then 1 else 0",
    ),
    "G002": _page(
        "a habit from another language",
        """
        Something stands here that other languages have and this one writes differently: a sign, a word, or the order
        of some words. The hint says how it is written.
        """,
        "reward = if temp > 10 && temp < 20 then 1 else 0",
        "reward = if 10 < temp < 20 then 1 else 0",
    ),
    "G003": _page(
        "a limit of size or depth",
        """
        Ranges hold at most 2^64 values, states 4,096 bits in 200 variables; a step has at most 200 chance variables,
        an episode 100,000 possible starts, and a function nests at most 200 deep, the functions that it calls counted
        in. The limits keep checking quick and evaluation within Python's stack.
        """,
        "state far: int 0..0x1_0000_0000_0000_0000 = 0",
        "state far: int 0..0xffff_ffff = 0",
    ),
    "G004": _page(
        "a part is missing or stands twice",
        """
        An environment has at least one state and one action, and exactly one `reward`; at most one `done` and
        `observe`; each state variable at most one next value; a utility each setting at most once.
        """,
        """
        temp' = 3
        temp' = 4
        """,
        "temp' = 4",
    ),
    "G006": _page(
        "an unknown name",
        """
        Nothing of this name is declared where it is read. Names at the top level can be read everywhere; those of
        the environment only there; parameters, `let`s and counters only in the expression that they belong to.
        """,
        "reward = if heather == on then 1 else 0",
        "reward = if heater == on then 1 else 0",
    ),
    "G007": _page(
        "a name is declared twice",
        """
        No name is declared twice where both are visible, and built-in functions keep theirs. Names that cannot see
        each other may agree: parameters of two functions, or a `let` of the environment and one of the policy. Two
        enums may share a member.
        """,
        "reward = let temp = 3 in 2 * temp",
        "reward = let least = 3 in 2 * least",
    ),
    "G008": _page(
        "a member of several enums",
        """
        Several enums have a member of this name, so the name alone does not say which is meant. Write the enum before
        it.
        """,
        """
        enum Lamp { off, dim }
        reward = if heater == off then 1 else 0
        """,
        """
        enum Lamp { off, dim }
        reward = if heater == Heater.off then 1 else 0
        agent {
          policy { heater = Heater.off }
        }
        """,
    ),
    "G009": _page(
        "a type does not fit",
        """
        The value has another type than its place asks for. `int` widens to `rat`; nothing else is converted
        silently. `floor(r)` makes an int of a rat, `ord(e)` the number of a member, `E(i)` a member of a number, and
        `if b then 1 else 0` a number of a bool. `/` is exact and gives a rat; `div` floors.
        """,
        "temp' = temp / 2",
        "temp' = temp div 2",
    ),
    "G010": _page(
        "a call that does not fit",
        """
        A function gets another number of arguments than it takes, something is called that is no function, or a
        function or an enum stands where a value is wanted.
        """,
        "reward = clamp(temp, 10)",
        "reward = clamp(temp, 0, 10)",
    ),
    "G011": _page(
        "a name that may not be read here",
        """
        The name is declared, and this place cannot read it. A policy reads what is observed, its own definitions and
        what stands at the top level: never chance, next values, or `let`s and definitions of the environment. A `def`
        reads constants and its parameters, a start the state variables above it, `done` the state alone, a
        distribution nothing that depends on next values.
        """,
        """
        chance draught: int = { -1: 1/2, 1: 1/2 }
        agent {
          policy { heater = if draught < 0 then on else off }
        }
        """,
        """
        chance draught: int = { -1: 1/2, 1: 1/2 }
        agent {
          policy { heater = if temp < 18 then on else off }
        }
        """,
    ),
    "G012": _page(
        "a value may leave its range",
        """
        State variables, actions, parameters, results, draws and tables keep the ranges of their types, for all values
        of everything they read, whether these are ever reached or not. The note shows values at which this one does
        not.
        """,
        "temp' = temp + (if heater == on then 2 else -1)",
        "temp' = clamp(temp + (if heater == on then 2 else -1), 0, 40)",
    ),
    "G013": _page(
        "a divisor may be 0",
        """
        `/`, `div` and `mod` have no value where the divisor is 0. Every expression must have a value for all values
        of what it reads, under the tests that guard it: after `if x != 0 then`, or to the right of `x != 0 and`, a
        divisor x is in order.
        """,
        "reward = 1 / (temp - 20)",
        "reward = if temp == 20 then 0 else 1 / (temp - 20)",
    ),
    "G014": _page(
        "an index may be outside",
        """
        Arrays are indexed from 0 to their length less 1, and `E(i)` takes 0 up to the number of members less 1. The
        index must stay within for all values of what it reads.
        """,
        """
        table GAIN: array[40] of int = [for t in 0..39: t]
        reward = GAIN[temp]
        """,
        """
        table GAIN: array[41] of int = [for t in 0..40: t]
        reward = GAIN[temp]
        """,
    ),
    "G015": _page(
        "a match without an arm for every value",
        """
        A `match` needs an arm for every value that its subject may have. Where the listed arms do not cover them,
        `else:` takes the rest.
        """,
        "let step = match temp mod 3 { 0: 1, 1: 2 }",
        "let step = match temp mod 3 { 0: 1, 1: 2, else: 3 }",
    ),
    "G016": _page(
        "weights that are no distribution",
        """
        The weights of a distribution are at least 0 and sum to exactly 1, for all values of what they read. Weights
        are exact: 1/3 three times is 1, and 0.33 three times is not.
        """,
        "chance draught: int = { -1: 0.33, 0: 0.33, 1: 0.33 }",
        "chance draught: int = { -1: 1/3, 0: 1/3, 1: 1/3 }",
    ),
    "G017": _page(
        "neither proved nor broken",
        """
        It could not be shown that this expression always has a value, and no values were found at which it has none.
        Intervals lose what ties two expressions together, and there are too many values to try them all: of rationals,
        only some are tried. Say the same more plainly, give narrower ranges, guard the expression with a test, or put
        what must stay in a range into `clamp`.
        """,
        """
        state far: int 0..1_000_000_000 = 1
        state wide: int 0..1_000_000_000 = 1
        chance lost: bool = { true: far * wide / (far * wide + 1), false: 1 / (far * wide + 1) }
        """,
        """
        state far: int 0..100 = 1
        state wide: int 0..100 = 1
        chance lost: bool = { true: far * wide / (far * wide + 1), false: 1 / (far * wide + 1) }
        """,
    ),
    "G018": _page(
        "too much work",
        """
        One evaluation, of a constant, a function, a policy or a step, takes at most 1,000,000 units: 1 for every node
        evaluated, for comparisons of arrays 1 an element. This is counted before anything runs, with the dearest
        branch and every turn of a comprehension.
        """,
        "reward = [for i in 0..999_999: i * i][temp]",
        "reward = temp * temp",
    ),
    "G019": _page(
        "a value that is too large",
        """
        Arrays hold at most 1,000,000 elements, and numbers at most 4,096 bits.
        """,
        "table BIG: array[2_000] of array[1_000] of int = [for i in 0..1_999: [for j in 0..999: 0]]",
        "table BIG: array[20] of array[10] of int = [for i in 0..19: [for j in 0..9: 0]]",
    ),
    "G020": _page(
        "a circle of definitions",
        """
        Constants, functions, `let`s, next values and draws may be written in any order, and none may depend on
        itself. There is no recursion; arrays are built with `[for i in a..b: e]`.
        """,
        """
        let warm = cold + 1
        let cold = warm - 1
        """,
        """
        let warm = temp + 1
        let cold = warm - 1
        """,
    ),
    "G021": _page(
        "not a constant",
        """
        The ends of ranges, the lengths of arrays, patterns and settings are fixed before anything runs: they are made
        of literals, members, constants, tables and functions of these.
        """,
        "let all = [for i in 0..temp: i]",
        "let all = [for i in 0..40: min(i, temp)]",
    ),
    "G022": _page(
        "a state, action or memory with no end of values",
        """
        What a policy chooses and remembers has finitely many values: `bool`, an enum, `int low..high`, `bits[n]`, or an
        array of these. A state variable may also be `rat low..high`; what else is rational is drawn, computed and
        rewarded, not stored.
        """,
        """
        agent {
          memory share: rat 0..1 = 1/2
          policy { heater = off }
        }
        """,
        """
        agent {
          memory share: int 0..100 = 50
          policy { heater = off }
        }
        """,
    ),
    "G023": _page(
        "an assignment that is missing or does not fit",
        """
        A policy assigns each action exactly once, memory at most once (`warm' = …`), and nothing else. State variables
        change in the environment, and what the policy needs on the way is a `let`.
        """,
        """
        agent {
          policy {
            heater = on
            temp   = 20
          }
        }
        """,
        """
        agent {
          policy {
            let cold = temp < 18
            heater = if cold then on else off
          }
        }
        """,
    ),
    "G024": _page(
        "an empty range",
        """
        A range holds both its ends, and the first is at most the second; an array has at least one item.
        """,
        "state level: int 5..0 = 3",
        "state level: int 0..5 = 3",
    ),
    "G025": _page(
        "a utility that makes no sense",
        """
        A utility has either a `discount` d with 0 <= d < 1 or a `horizon` of at least 1 step, a `tick_price` and a
        `size_price` of at least 0 (default 0), and `better` one of dominates, strictly, worst. With a discount of 1
        the sum of rewards may have no value.
        """,
        "utility { discount 1 }",
        "utility { discount 99/100 }",
    ),
    "G026": _page(
        "a pattern stands twice",
        """
        The first arm whose pattern equals the subject is taken, so the same pattern further down is never reached.
        """,
        "let step = match temp { 1 | 2: 3, 2: 4, else: 5 }",
        "let step = match temp { 1: 3, 2: 4, else: 5 }",
    ),
    "G027": _page(
        "an array of another length",
        """
        An array has exactly as many items as its type says. A comprehension `[for i in a..b: e]` has one for each
        number from a to b, both counted.
        """,
        "table GAIN: array[41] of int = [for t in 0..39: t]",
        "table GAIN: array[41] of int = [for t in 0..40: t]",
    ),
    "G030": _page(
        "bits of no possible width",
        """
        `bits[n]` is a vector of n bits, with n a constant from 1 to 64. Longer rows of bits are arrays.
        """,
        "state flags: bits[100] = 0",
        "state flags: array[2] of bits[50] = [0, 0]",
    ),
    "G031": _page(
        "a shift by less than 0",
        """
        The amount of `<<`, `>>` and `ashr` is an `int` of at least 0, or bits, which are read without a sign. Shifting by
        as many bits as there are, or more, gives 0 (for `ashr`, copies of the sign). The amount must be at least 0 for
        every value of what it reads, under the tests around it.
        """,
        "let mark = bits[64](1) << temp - 20",
        "let mark = bits[64](1) << max(0, temp - 20)",
    ),
    "G032": _page(
        "a literal that does not fit its bits",
        """
        Where bits are asked for, an integer literal is bits; `bits[n]` holds 0 to 2^n - 1. `bits[n](i)` takes any `int`
        modulo 2^n, so that `bits[8](-1)` has all its bits set.
        """,
        "state flags: bits[4] = 16",
        "state flags: bits[4] = bits[4](16)",
    ),
    "G033": _page(
        "a comparison of bits that does not say whether they have a sign",
        """
        The same bits are one number without a sign and another one in two's complement. `ult` and `ule` compare without
        a sign, `slt` and `sle` with one; `==` and `!=` need none. `int(x)` and `sint(x)` read bits as a number.
        """,
        """
        state level: bits[8] = 200
        let large = level > 7
        """,
        """
        state level: bits[8] = 200
        let large = ult(7, level)
        """,
    ),
    "G034": _page(
        "a division of bits that does not say whether they have a sign",
        """
        `udiv` and `urem` divide bits without a sign; `sdiv`, towards 0, and `srem`, with the sign of the dividend, read
        them in two's complement. `/`, `div` and `mod` divide numbers.
        """,
        """
        state level: bits[8] = 200
        let half = level div 2
        """,
        """
        state level: bits[8] = 200
        let half = udiv(level, 2)
        """,
    ),
    "G035": _page(
        "bits and numbers in one place",
        """
        Bits are no numbers: `bits[n](i)` makes bits of an `int`, `int(x)` and `sint(x)` read bits as one, without and with
        a sign. Only an integer literal takes the type that its place asks for.
        """,
        """
        state level: bits[8] = 200
        let sum = level + temp
        """,
        """
        state level: bits[8] = 200
        let sum = level + bits[8](temp)
        """,
    ),
    "G036": _page(
        "bits of a width that nothing gives",
        """
        An operation on bits takes its width from its operands. Where these are literals alone, and the place asks for
        nothing, the width is written: `bits[n](i)`.
        """,
        "let mask = (1 << 5) - 1",
        "let mask = (bits[8](1) << 5) - 1",
    ),
    "G037": _page(
        "bits of two widths",
        """
        Bits mix with bits of the same width alone. `bits[n](x)` cuts x or fills it with zeros, `sext[n](x)` fills it with
        its sign.
        """,
        """
        state low: bits[8] = 1
        state high: bits[16] = 1
        let both = high | low
        """,
        """
        state low: bits[8] = 1
        state high: bits[16] = 1
        let both = high | bits[16](low)
        """,
    ),
    "G038": _page(
        "a fold whose turns change its type",
        """
        In `fold acc = start for i in a..b: body` every turn puts the value of the body in the place of `acc`, so that
        start and body have one type. Its ranges are dropped, and an `int` start is `rat` where the body is.
        """,
        "let sum = fold total = 0 for i in 1..9: total == i",
        "let sum = fold total = 0 for i in 1..9: total + i",
    ),
    "G039": _page(
        "an updated copy of what is no array",
        """
        `a with { i: e, … }` is a copy of the array a with other entries. Other values have no parts: a next value is given
        as a whole.
        """,
        "let moved = temp with { 0: 1 }",
        "let moved = [temp, 0, 0] with { 1: temp }",
    ),
    "G040": _page(
        "a block is missing",
        """
        A machine has exactly one `environment`, one `utility` and one `agent`, in any order.
        """,
        """
        machine lamp
        environment {
          state lit: bool = false
          action press: bool
          lit'   = press
          reward = if lit' then 1 else 0
        }
        agent { policy { press = false } }
        """,
        """
        machine lamp
        environment {
          state lit: bool = false
          action press: bool
          lit'   = press
          reward = if lit' then 1 else 0
        }
        utility { discount 9/10 }
        agent { policy { press = false } }
        """,
    ),
    "G041": _page(
        "nesting too deep",
        """
        Nothing nests deeper than 200: brackets in brackets, signs, `else if` after `else if`, or the operators of one
        sum. This keeps evaluation within Python's stack. A `let` or a `def` splits what is long, and a table or a
        `match` says in one level what many `else if`s say in many.
        """,
        """
        reward =
          ----------------------------------------------------------------------------------------------------
          ----------------------------------------------------------------------------------------------------
          -temp
        """,
        "reward = -temp",
    ),
    "G042": _page(
        "a number that is too long",
        """
        A number that is written out has at most 4,096 bits: 1,233 decimal or 1,024 hexadecimal digits, above and
        below a fraction bar each.
        """,
        "const HUGE = 9_999_999_999…  # and so on, 1,234 digits",
        "const HUGE = 9_999_999_999",
    ),
    "G043": _page(
        "a file that is too large",
        """
        A file has at most 1 MiB. Large tables are mostly regular: `[for i in a..b: e]` says such a table in one line,
        and a `def` needs no table at all.
        """,
        "table PAY: array[100_000] of int = [1_000_000, 1_000_000, …]  # every entry written out",
        "table PAY: array[100_000] of int = [for i in 0..99_999: 1_000_000]",
    ),
    "G044": _page(
        "a character that cannot stand here",
        """
        Names are made of the letters a to z and A to Z, digits and `_`. Other letters and signs stand in comments
        alone, and control characters, invisible marks and marks that reverse the order of text stand nowhere, so that
        what is read is what is meant. Files are UTF-8.
        """,
        "let größe = 2 * temp",
        "let groesse = 2 * temp",
    ),
    "G045": _page(
        "policies that do not fit together",
        """
        An agent has exactly one `policy { … }` without a name. It is the one that acts, and is called `main` where
        requirements and edits speak of it; so no other has that name. Each further policy has a name of its own.
        """,
        """
        agent {
          policy idle { heater = off }
        }
        """,
        """
        agent {
          policy { heater = on }
          policy idle { heater = off }
        }
        """,
    ),
    "G046": _page(
        "a block stands twice",
        """
        A machine has exactly one `environment`, one `utility` and one `agent`. Put what the second block says into
        the first.
        """,
        """
        utility { discount 9/10 }
        utility { tick_price 1/100 }
        """,
        "utility { discount 9/10  tick_price 1/100 }",
    ),
    "G047": _page(
        "a range or a start is missing",
        """
        What changes, is chosen or is unknown lies between a least and a greatest value: numbers there have a range
        `low..high`, both ends counted, as in `int 0..9`. State and memory variables say where they start: a
        value; for state also a distribution `{ value: weight, … }`, or `any`, which makes a world of each value.
        """,
        "state level: int 0..5",
        "state level: int 0..5 = 0",
    ),
    "G048": _page(
        "operators that need parentheses",
        """
        A chain of comparisons goes one way: `a <= b < c`. `==` and `!=` do not chain, and `not` binds less tightly
        than a comparison. Where something else is meant, `and` or parentheses say what.
        """,
        "reward = if 0 < temp > 10 then 1 else 0",
        "reward = if 0 < temp and temp > 10 then 1 else 0",
    ),
    "G049": _page(
        "a type of another language",
        """
        The types are `bool`, `int`, `rat`, `bits[n]`, `array[n] of T` and the enums that are declared. There are no
        floats, because every claim is exact, and no strings.
        """,
        "def half(t: int): float = t / 2",
        "def half(t: int): rat = t / 2",
    ),
    "G050": _page(
        "an unknown number used as if it were known",
        """
        A rational unknown, and a rate that an adversary chooses, stands for every value in its range at once. It
        reaches weights and rewards through `+ - *`, division by constants, `let`, and `if`, `match` and `def` whose
        tests do not read it. It cannot be compared, listed, folded, rounded, or put into `min` and `max`.
        """,
        """
        unknown p: rat 0..1
        chance draught: int = { 1: max(p, 1/2), 0: 1 - max(p, 1/2) }
        """,
        """
        unknown p: rat 1/2..1
        chance draught: int = { 1: p, 0: 1 - p }
        """,
    ),
    "G051": _page(
        "an unknown number outside weights and rewards",
        """
        A rational unknown or a rate says how likely something is, or what it is worth. What happens is drawn: a next
        value and a value that is drawn are known numbers.
        """,
        """
        unknown p: rat 0..1
        chance share: rat 0..1 = { p: 1/2, 0: 1/2 }
        """,
        """
        unknown p: rat 0..1
        chance share: rat 0..1 = { 1: p, 0: 1 - p }
        """,
    ),
    "G052": _page(
        "an unknown number where a range is kept",
        """
        A parameter or result with a range is checked at every call, and of a rational unknown or a rate no check is
        made. Functions for them take and give `rat` without a range.
        """,
        """
        def both(q: rat 0..1): rat = q * q
        unknown p: rat 0..1
        reward = both(p)
        """,
        """
        def both(q: rat): rat = q * q
        unknown p: rat 0..1
        reward = both(p)
        """,
    ),
    "G053": _page(
        "a price for what is no operation",
        """
        `costs` gives the ticks of operations by their names in quotes: operators as they are written, `if match let
        call index array with fold forall exists convert`, and the built-in functions.
        """,
        'utility { discount 19/20  costs { "times": 3 } }',
        'utility { discount 19/20  costs { "*": 3 } }',
    ),
    "G054": _page(
        "an assumption of another form",
        """
        `assume` takes one comparison, `<=`, `>=` or `==`, of two linear expressions in the rational unknowns. A chain
        is two assumptions. There is no `<`: with it the values that are left would have no corners. `<=` leaves the
        border in.
        """,
        """
        unknown p: rat 0..1
        unknown q: rat 0..1
        assume p < q
        """,
        """
        unknown p: rat 0..1
        unknown q: rat 0..1
        assume p <= q
        """,
    ),
    "G055": _page(
        "an assumption that is not linear",
        """
        Both sides of an assumption add up constants and multiples of single unknowns. Then its corners can be worked
        out exactly, and a proof can say which assumptions it takes how often.
        """,
        """
        unknown p: rat 0..1
        unknown q: rat 0..1
        assume p * q <= 1/4
        """,
        """
        unknown p: rat 0..1
        unknown q: rat 0..1
        assume p + q <= 1
        """,
    ),
    "G056": _page(
        "a number of steps that makes no sense",
        """
        `within k reach` gives a whole number of steps, at least 1.
        """,
        "require cools: within 0 reach temp == 0 from true using main",
        "require cools: within 40 reach temp == 0 from true using main",
    ),
    "G057": _page(
        "an assignment that memory does not take",
        """
        A policy gives each memory variable at most one next value, `warm' = …`; one that gets none keeps its value.
        What the policy reads as `warm` stays the same until the next step. State variables change in the environment.
        """,
        """
        agent {
          memory warm: int 0..3 = 0
          policy {
            heater = off
            warm   = 1
          }
        }
        """,
        """
        agent {
          memory warm: int 0..3 = 0
          policy {
            heater = off
            warm'  = 1
          }
        }
        """,
    ),
    "G058": _page(
        "an unknown or adversary with no end of values",
        """
        What nobody knows and what an adversary chooses has finitely many values, or is one number in a range of
        rationals, `rat low..high`.
        """,
        "unknown odds: array[2] of rat 0..1",
        "unknown odds: rat 0..1",
    ),
    "G059": _page(
        "a condition on a rate",
        """
        `adversary y: T where p` ties the choice of a value from a finite type. A rate, of type `rat low..high`, is free
        within its range.
        """,
        "adversary wind: rat 0..1 where temp > 3",
        "adversary wind: rat 0..1/2",
    ),
    "G060": _page(
        "observed, and no state variable",
        """
        `observe` lists state variables. What chance draws and what an adversary chooses comes after the policy has
        decided, and what is unknown stays so; store in a state variable what the agent is to learn of it.
        """,
        """
        unknown luck: int 0..3
        observe temp, luck
        """,
        """
        unknown luck: int 0..3
        state seen: int 0..3 = luck
        observe temp, seen
        """,
    ),
    "G061": _page(
        "weights and rewards of too many terms",
        """
        Weights and rewards that read rational unknowns or rates are polynomials in them. A start and a step may hold
        at most 10,000 terms, counted by the highest exponents that may come about before anything runs.
        """,
        """
        def square(q: rat): rat = q * q
        def much(q: rat): rat = square(square(square(square(q))))
        unknown p: rat 0..1
        unknown q: rat 0..1
        reward = much(much(p)) * much(much(q))
        """,
        """
        def square(q: rat): rat = q * q
        unknown p: rat 0..1
        unknown q: rat 0..1
        reward = square(p) * square(q)
        """,
    ),
    "G062": _page(
        "a policy that a requirement uses is missing",
        """
        `require … using NAME` promises a policy of that name, so code without it is incomplete, and a rewrite cannot
        remove it. In a machine file the message points at that NAME, which may also be misspelt. `using main` means
        the policy that acts.
        """,
        "require cools: within 40 reach temp == 0 from true using cool",
        """
        require cools: within 40 reach temp == 0 from true using cool
        agent {
          policy { heater = on }
          policy cool { heater = off }
        }
        """,
    ),
    "G063": _page(
        "assumptions that contradict each other",
        """
        At least one value of the unknowns, within their ranges, satisfies every `assume`. About a world that cannot
        be, everything would hold.
        """,
        """
        unknown p: rat 0..1
        assume p >= 2
        """,
        """
        unknown p: rat 0..1
        assume p >= 1/2
        """,
    ),
    "G064": _page(
        "an adversary without a choice",
        """
        Whatever the state and the actions, some value satisfies every condition of the adversaries; else the step
        would have no meaning.
        """,
        "adversary wind: int 0..3 where wind > temp",
        "adversary wind: int 0..3 where wind <= temp",
    ),
    "G065": _page(
        "no start",
        """
        Some joint value of the variables that start anywhere satisfies every `where`, for every value of the finite
        unknowns. About a machine that cannot start, everything would hold.
        """,
        "state temp: int 0..40 = any where temp > 40",
        "state temp: int 0..40 = any where temp > 20",
    ),
    "G066": _page(
        "a price of ticks that makes no sense",
        """
        The prices in `costs` are whole numbers, at least 0.
        """,
        'utility { discount 19/20  costs { "*": -1 } }',
        'utility { discount 19/20  costs { "*": 0 } }',
    ),
    "G067": _page(
        "`switch` or `prices` of a search",
        """
        `switch` is `at_once` (a proved rewrite of the agent is installed at once) or `held` (it waits for `apply`).
        `prices` gives `gain_unit` and `cost_unit`, which are above 0, and `rlimit`, `family_step` and `check_step`, which
        are not below it.
        """,
        "prices { rlimits: 1/20 }",
        "prices { rlimit: 1/20 }",
    ),
    "G068": _page(
        "a report that the machine does not make",
        """
        A searcher reads reports: `fails_F` and `wins_F` for a family F, `step`, `spent`, `held` and `applied`, all of type
        `int 0..n`, `last: Outcome` and `pending: bool`. How they start and go on is fixed, so that they have no start and no
        equation; they stop at the top of their range.
        """,
        """
        family patch = improve(states: one)
        world {
          report fails_pach: int 0..3
        }
        """,
        """
        family patch = improve(states: one)
        world {
          report fails_patch: int 0..3
        }
        """,
    ),
    "G069": _page(
        "the world of a search",
        """
        The world of a search has the one action `try: Attempt`, and draws (or lets an adversary choose) `outcome: Outcome`
        and, where they are wanted, `gain: int 0..n` and `cost: int 0..n`. Nothing is drawn when `stop` or `apply` is tried,
        so that a `match try` is complete when it names every family.
        """,
        """
        action try: Attempt
        chance outcome: Outcome = match try {
          stop: { none: 1 },
          patch: { accepted: 1/3, refused: 2/3 },
        }
        """,
        """
        action try: Attempt
        chance outcome: Outcome = match try { patch: { accepted: 1/3, refused: 2/3 } }
        """,
    ),
    "G070": _page(
        "a family's kind or settings",
        """
        A family is of a kind that the program has, and each kind has its own settings. Every family may set `target`,
        `agent` or `searcher`, and `rlimit`, the limit of Z3's work on a premise.
        """,
        "family patch = improve(states: some)",
        "family patch = improve(states: region)",
    ),
    "G071": _page(
        "a file with too many words, numbers and signs",
        """
        A file has at most 50,000 words, numbers and signs, and a table counts as one of them. A table is an array of
        literals, names and members alone, in rows of equal length, at most 8 deep. Entries of any other array count one
        by one, so that a single sum keeps a large array from being a table; the name of a constant does not.
        """,
        "table PAY: array[100_000] of int = [7, 2 * 18, 8, …]  # and so on",
        """
        const TWICE = 2 * 18
        table PAY: array[3] of int = [7, TWICE, 8]
        """,
    ),
}
"""Every code, in order. `godel explain CODE` prints a page; `docs/errors.md` holds them all."""
