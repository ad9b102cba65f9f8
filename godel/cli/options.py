"""Options that several verbs have, and the exact numbers that they take."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import click

RLIMIT = 50_000_000
_RATIONAL = re.compile(r"\d{1,99}(/\d{1,99}|(\.\d{1,99})?([eE][+-]?\d{1,3})?)")


class Rational(click.ParamType[Fraction]):
    """An exact number that is not negative: `1/100`, `0.01`, `1e-5`, `3`."""

    name = "rational"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Read the number."""
        try:
            if _RATIONAL.fullmatch(value):
                return Fraction(value)
        except ZeroDivisionError:
            pass
        self.fail(f"{value!r} is no rational such as 1/100", param, ctx)


class Confidence(Rational):
    """An exact number between 0 and 1."""

    name = "confidence"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Fraction:
        """Read the number."""
        found = super().convert(value, param, ctx)
        if not 0 < found < 1:
            self.fail(f"a confidence lies between 0 and 1, found {value}", param, ctx)
        return found


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
rlimit_option = click.option(
    "--rlimit",
    type=click.IntRange(1),
    default=RLIMIT,
    show_default=True,
    help="Z3's resource limit for each premise.",
)
