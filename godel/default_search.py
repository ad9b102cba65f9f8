"""The search that machines get which declare none."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files

from dsl.parser import parse_machine
from godel.searching import FamilyDeclaration, Prices, SearchDeclaration

FAMILIES = (
    FamilyDeclaration("patch_one", "improve", (("states", "one"),)),
    FamilyDeclaration("patch_region", "improve", (("states", "region"),)),
    FamilyDeclaration("patch_all", "improve", (("states", "all"),)),
    FamilyDeclaration("tidy", "simplify", ()),
)
PRICES = Prices(
    gain_unit=Fraction(1, 100),
    cost_unit=Fraction(50_000),
    rlimit=Fraction(1, 20),
    family_step=Fraction(1),
    check_step=Fraction(1),
)


def default_search() -> SearchDeclaration:
    """The default families and prices, with the world and the searcher of `default_search.godel`."""
    text = files("godel").joinpath("default_search.godel").read_text(encoding="utf-8")
    return SearchDeclaration(FAMILIES, PRICES, parse_machine(text))
