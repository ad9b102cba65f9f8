"""Check a utility: its settings, worked out."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fractions import Fraction
from typing import Any

from dsl import syntax as s
from dsl.habits import FOREIGN_SETTINGS
from dsl.interp import OPERATIONS
from dsl.machine import UtilityValues
from dsl.scope import SCALAR_MAX, ScopeBuilder
from dsl.types import Int, Rat, Type

BETTER = ("dominates", "strictly", "worst")


def check_utility(top: ScopeBuilder, utility: s.Utility) -> UtilityValues | None:
    """The values of a utility's settings, or None with faults reported."""
    faults = top.faults
    found: dict[str, Any] = {}
    unknown = False
    for setting in utility.settings:
        if isinstance(setting, s.Costs):
            if "costs" in found:
                faults.add("G004", "costs is given twice", setting, name=0)
            found["costs"] = _costs(top, setting)
        elif setting.key not in _SETTINGS:
            meant = FOREIGN_SETTINGS.get(setting.key)
            hint = f"write {meant}" if meant else None
            top.unknown(setting.key, setting, _SETTINGS, "setting", index=0, hint=hint)
            unknown = True
        elif setting.key in found:
            faults.add("G004", f"{setting.key} is given twice", setting, name=0)
        else:
            found[setting.key] = _setting(top, setting)
    if "discount" in found and "horizon" in found:
        message = "a utility has either a discount or a horizon, not both"
        settings = [t for t in utility.settings if isinstance(t, s.Setting)]
        last = [t for t in settings if t.key in ("discount", "horizon")][-1]
        faults.add("G025", message, last, name=0)
        return None
    if "discount" not in found and "horizon" not in found and not unknown:
        message = "a utility has either a discount or a horizon"
        faults.add("G025", message, utility, name=0, help="discount 99/100")
        return None
    if unknown or any(value is None for value in found.values()):
        return None
    return UtilityValues(
        discount=found.get("discount", Fraction(1)),
        horizon=found.get("horizon"),
        tick_price=found.get("tick_price", Fraction(0)),
        size_price=found.get("size_price", Fraction(0)),
        better=found.get("better", "dominates"),
        costs=found.get("costs", ()),
    )


def _costs(top: ScopeBuilder, costs: s.Costs) -> tuple[tuple[str, int], ...] | None:
    """The ticks of the operations that are priced, or None with faults reported."""
    found: dict[str, Any] = {}
    before = len(top.faults.found)
    for cost in costs.entries:
        name = cost.operation
        if name not in OPERATIONS:
            hint = _near(name)
            top.faults.add(
                "G053", f'"{name}" is no operation that has a price', cost, name=0, help=hint
            )
        elif name in found:
            top.faults.add("G004", f'the price of "{name}" is given twice', cost, name=0)
        else:
            found[name] = _ticks(top, cost)
    return None if len(top.faults.found) > before else tuple(found.items())


def _ticks(top: ScopeBuilder, cost: s.Cost) -> int | None:
    what = f'the price of "{cost.operation}"'
    if not top.constant(cost.ticks, Int(), what):
        return None
    number = top.constant_value(cost.ticks)
    if number is not None and not 0 <= number <= SCALAR_MAX:
        words = "at least 0" if number < 0 else "at most 2^64"
        top.faults.add("G066", f"{what} must be {words}, found {number}", cost.ticks)
    return number  # type: ignore[no-any-return]


def _near(name: str) -> str:
    near = _ELSEWHERE.get(name)
    if near is None:
        near = next(iter(get_close_matches(name, sorted(OPERATIONS), n=1, cutoff=0.7)), None)
    if near is not None:
        return f'did you mean "{near}"?'
    return 'operations are named as they are written, "*" or "if"; the others are "call", "index", "array", "convert"'


_ELSEWHERE = {
    "**": "*",
    "%": "mod",
    "//": "div",
    "!": "not",
    "&&": "and",
    "||": "or",
    "[]": "index",
    "neg": "-",
    "def": "call",
}
"""Operations by names that they have elsewhere."""


def _setting(top: ScopeBuilder, setting: s.Setting) -> Any:
    key, value = setting.key, setting.value
    if key == "better":
        if isinstance(value, s.Name) and value.name in BETTER:
            return value.name
        top.faults.add("G025", f"better is one of {', '.join(BETTER)}", setting.value)
        return None
    wanted, within, words = _SETTINGS[key]
    if not top.constant(value, wanted, key):
        return None
    number = top.constant_value(value)
    if number is None:
        return None
    if not within(number):
        top.faults.add("G025", f"{key} must be {words}, found {number}", setting.value)
        return None
    return number if key == "horizon" else Fraction(number)


_SETTINGS: dict[str, tuple[Type, Callable[[Any], bool], str]] = {
    "discount": (Rat(), lambda v: 0 <= v < 1, "at least 0 and below 1"),
    "horizon": (Int(), lambda v: 1 <= v <= SCALAR_MAX, "at least 1"),
    "tick_price": (Rat(), lambda v: v >= 0, "at least 0"),
    "size_price": (Rat(), lambda v: v >= 0, "at least 0"),
    "better": (Rat(), lambda v: True, ""),
}
