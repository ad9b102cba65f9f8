"""The world of a search with laws made of a record: success at unknown rates, gains and costs as often as they were met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, cast

from dsl import syntax as s
from dsl.parser import parse_blocks
from dsl.printer import print_type
from dsl.search import AGENT, OUTCOMES, families_of, target_of, words_of
from godel.learning.records import NoRecord, Rate, Records, Situation, last_situation

SPREAD_MAX = 10_000
"""Over so many values at most a gain or a cost is spread."""
CHAIN_MAX = 8
"""So many tests of a report at most stand in a row; more are halved, so that they do not nest as deeply."""
FAILURES = OUTCOMES[2:]
LAWS = ("outcome", "gain", "cost")


def world_of(tree: s.Search) -> s.SearchWorld:
    """The `world` block of a search."""
    return next(i for i in tree.items if isinstance(i, s.SearchWorld))


def calibrated_world(records: Records, rates: Sequence[Rate]) -> s.SearchWorld:
    """The world of a search with other laws of outcome, gain and cost, without what only the old ones read."""
    old = world_of(records.tree)
    new = _parsed(records, rates)
    unknowns = [i for i in new if isinstance(i, s.Unknown)]
    fresh = {i.name: i for i in new if isinstance(i, s.Chance)}
    items: list[Any] = []
    stays = _stays(records)
    for item in old.items:
        if isinstance(item, s.Action):
            items += [*unknowns, item]
        elif isinstance(item, s.Chance | s.Adversary) and item.name in LAWS:
            items.append(_with_kept(records, fresh[item.name], item))
        elif item in stays:
            items.append(item)
    return replace(old, items=tuple(items))


def words_kept(records: Records) -> set[str]:
    """Every word in what stays of a search."""
    rest = [i for i in records.tree.items if not isinstance(i, s.SearchWorld)]
    return words_of([*_stays(records), *rest])


# --- what stays ----------------------------------------------------------------------------------


def _laws(records: Records) -> dict[str, s.Chance | s.Adversary]:
    """The declared laws by name, in order."""
    items = world_of(records.tree).items
    return {i.name: i for i in items if isinstance(i, s.Chance | s.Adversary) and i.name in LAWS}


def _stays(records: Records) -> list[Any]:
    """What stays of a world, with what is kept of its laws in their places."""
    items: list[Any] = []
    for item in world_of(records.tree).items:
        if isinstance(item, s.Chance | s.Adversary) and item.name in LAWS:
            items += [_kept_law(item, f) for f in _kept(records)]
        else:
            items.append(item)
    return _needed(items)


def _needed(items: list[Any]) -> list[Any]:
    """The items without definitions and unknowns that nothing reads any more."""
    while True:
        read = {n.name for i in items for n in s.walk(i) if isinstance(n, s.Name)}
        kept = [
            i
            for i in items
            if not isinstance(i, s.Define | s.Unknown | s.Def) or _is_read(i, read, items)
        ]
        if len(kept) == len(items):
            return kept
        items = kept


def _is_read(item: Any, read: set[str], items: list[Any]) -> bool:
    called = {n.name for i in items for n in s.walk(i) if isinstance(n, s.Call)}
    return item.name in (called if isinstance(item, s.Def) else read)


def _kept(records: Records) -> list[s.Family]:
    """The families whose declared law stays."""
    families = families_of(records.tree)
    return [f for f in families if target_of(f) != AGENT or records.never_tried(f.name)]


def _with_kept(records: Records, new: s.Chance, old: s.Chance | s.Adversary) -> s.Chance:
    """The new law with what the old one says of the families that keep theirs."""
    kept, law = _kept(records), cast(s.DistMatch, new.dist)
    arms = [
        replace(arm, body=_kept_law(old, family)) if family in kept else arm
        for family, arm in zip(families_of(records.tree), law.arms, strict=True)
    ]
    return replace(new, dist=replace(law, arms=tuple(arms)))


def _kept_law(law: s.Chance | s.Adversary, family: s.Family) -> s.Dist:
    """What a declared law says of one family. Raises NoRecord where nothing is drawn by it."""
    if law.name == "gain" and target_of(family) != AGENT:
        # drawn for rewrites of the agent alone
        return s.DistMap((s.Weighted(s.IntLit(0), s.IntLit(1)),))
    if isinstance(law, s.Adversary):
        raise NoRecord(
            f"{family.name} would keep its declared law, but {law.name} is `adversary` there"
        )
    dist = law.dist
    if not isinstance(dist, s.DistMatch) or dist.subject != s.Name("try"):
        return dist
    for arm in dist.arms:
        if any(getattr(p, "member", getattr(p, "name", "")) == family.name for p in arm.patterns):
            return arm.body
    return dist if dist.otherwise is None else dist.otherwise


# --- laws ----------------------------------------------------------------------------------------


def _parsed(records: Records, rates: Sequence[Rate]) -> tuple[s.EnvironmentItem | s.Report, ...]:
    """The new items: unknowns and laws."""
    lines = [f"unknown {r.name}: rat {r.low}..{r.high}" for r in rates]
    families = [f.name for f in families_of(records.tree)]
    for name, law in _laws(records).items():
        arms = []
        for family in families:
            mine = [r for r in rates if r.family == family]
            body = _BODIES[name](records, family, mine)
            arms.append(f"{_member(records, 'Attempt', family)}: {body}")
        kind = "Outcome" if name == "outcome" else print_type(law.type)
        lines.append(f"chance {name}: {kind} = match try {{ {', '.join(arms)} }}")
    text = "search { world { " + "\n".join(lines) + " } }"
    found = parse_blocks(text).search
    assert found is not None
    return world_of(found).items


def _member(records: Records, enum: str, name: str) -> str:
    """A member of `Attempt` or `Outcome`, with its enum where another one has it too."""
    families = {f.name for f in families_of(records.tree)}
    shared = name in records.members or name in families.intersection(OUTCOMES)
    return f"{enum}.{name}" if shared else name


def _outcome_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    """By situation: accepted at the unknown rate; of failures each kind counts once more than it was met."""
    word = {o: _member(records, "Outcome", o) for o in OUTCOMES}

    def law(rate: Rate) -> str:
        total = sum(rate.record.outcomes[o] + 1 for o in FAILURES)
        shares = (
            f"{word[o]}: (1 - {rate.name}) * {rate.record.outcomes[o] + 1}/{total}"
            for o in FAILURES
        )
        return f"{{ {word['accepted']}: {rate.name}, {', '.join(shares)} }}"

    untried = f"{{ {word['empty']}: 1 }}"
    return _by_situation(records, family, {r.situation: law(r) for r in rates}, untried)


def _by_situation(
    records: Records, family: str, laws: Mapping[Situation, str], untried: str
) -> str:
    """A choice by the reports of a family; where it was not tried it is taken to bring nothing.

    A searcher that goes there gains nothing by it. One that stays away saves what that costs, which is an assumption.
    """
    tops = last_situation(records, family)
    rows = []
    for wins in range(tops[1] + 1):
        row = [laws.get((fails, wins), untried) for fails in range(tops[0] + 1)]
        rows.append(_runs(f"fails_{family}", row))
    return _runs(f"wins_{family}", rows)


def _runs(report: str, laws: Sequence[str]) -> str:
    """A choice among laws by the value of a report, alike neighbours together."""
    runs: list[tuple[str, int]] = []
    at = 0
    for law, same in groupby(laws):
        at += len(list(same))
        runs.append((law, at))
    return _chain(report, runs)


def _chain(report: str, runs: Sequence[tuple[str, int]]) -> str:
    """A choice among laws, each of which holds below a number and from that of the one before it on."""
    if len(runs) == 1:
        return runs[0][0]
    cut = 1 if len(runs) <= CHAIN_MAX else len(runs) // 2
    low, high = _chain(report, runs[:cut]), _chain(report, runs[cut:])
    return f"if {report} < {runs[cut - 1][1]} then {low} else {high}"


def _spread(counted: Counter[int], what: str) -> str:
    """A law over all values from the least to the greatest met, each counted once more than it was."""
    if not counted:
        return "{ 0: 1 }"
    low, high = min(counted), max(counted)
    if high - low >= SPREAD_MAX:
        raise NoRecord(f"{what} is met from {low} to {high}, too many values; choose a larger unit")
    if low == high:
        return f"{{ {low}: 1 }}"
    total = counted.total() + high - low + 1
    entries = (f"{v}: {counted[v] + 1}/{total}" for v in range(low, high + 1))
    return f"{{ {', '.join(entries)} }}"


def _cost_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    """By success, unless the cost is declared above the outcome and so known before it."""
    joint = {won: Counter[int]() for won in (True, False)}
    for record in records.by_family[family].values():
        for won, counted in record.costs.items():
            joint[won].update(counted)
    what = f"the cost of {family}"
    laws = list(_laws(records))
    if all(joint.values()) and laws.index("outcome") < laws.index("cost"):
        accepted = _member(records, "Outcome", "accepted")
        then, otherwise = _spread(joint[True], what), _spread(joint[False], what)
        return f"if outcome == {accepted} then {then} else {otherwise}"
    return _spread(joint[True] + joint[False], what)


def _gain_body(records: Records, family: str, rates: Sequence[Rate]) -> str:
    joint: Counter[int] = Counter()
    for record in records.by_family[family].values():
        joint.update(record.gains)
    return _spread(joint, f"the gain of {family}")


_BODIES = {"outcome": _outcome_body, "gain": _gain_body, "cost": _cost_body}
