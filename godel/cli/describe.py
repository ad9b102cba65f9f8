"""Entries of a ledger in words and as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from dsl.search import SEARCHER
from godel.cli.output import above, below, command, room, shown_id, styled
from godel.entries import require_shape
from godel.ledger import Entry, Kind

STEPS_SHOWN = 6
SUMMARY_WIDTH = 72
AROUND_SUMMARY = 29  # number, verdict and a short id, with what parts them
INDENT = 7  # of what stands below an entry
COLOURS = {"accepted": "green", "refused": "yellow", "undecided": "magenta", "invalid": "red"}

CAUSES = {
    "stop": "the searcher stopped",
    "horizon": "the episode is over",
    "attempts": "cut by --attempts",
    "budget": "cut by --budget",
    "gap": "cut by --gap",
    "done": "the episode is done",
    "departure": "cut by --strict at a departure from the declared search world",
    "circle": "cut: the searcher goes round in circles, and nothing is left to try",
}


def entry_json(entry: Entry) -> dict[str, Any]:
    """An entry as it is stored, with its id."""
    return {
        "seq": entry.seq,
        "id": entry.id,
        "previous": entry.previous,
        "kind": entry.kind.value,
        "body": entry.body,
    }


def describe_entry(entry: Entry, *, verbose: bool = False, taken: int = 0) -> str:
    """An entry of a log: one line, and its reason below; `verbose` adds what shows it. Raises LedgerError.

    So many columns of the first line are taken by what the caller puts in front of it.
    """
    require_shape(entry)
    body = cast(Mapping[str, Any], entry.body)
    kind = entry.kind.value
    head = f"{entry.seq:>4} {styled(f'{kind:<9}', fg=COLOURS.get(kind, 'cyan'))}"
    summary, remark = _fitted(_summary(entry, body), _remark(body), taken)
    lines = [f"{head} {summary}  {shown_id(entry.id)}"]
    below_it = details(entry) if verbose else []
    said = [text for text in (remark, _reason(entry, body)) if text]
    said += [f"departure: {text}" for text in body.get("departures", ())]
    lines += [f"{'':{INDENT}}{line}" for line in said + below_it]
    return "\n".join(lines)


def _fitted(summary: str, remark: str, taken: int) -> tuple[str, str]:
    """A summary with a remark as a column, and what stands below it.

    On a terminal that is too narrow for them that is the remark, and blanks between parts are left out.
    """
    columns = room()
    width = SUMMARY_WIDTH
    joined = f"{summary} {remark}" if remark else summary
    if columns is not None:
        width = max(0, min(width, columns - AROUND_SUMMARY - taken))
        if len(joined) > width:
            joined, summary = (re.sub("  +", "  ", text).rstrip() for text in (joined, summary))
        if len(joined) > width:
            return f"{summary:<{width}}", remark
    return f"{joined:<{width}}", ""


def _remark(body: Mapping[str, Any]) -> str:
    """What a family says of its rewrite, and of whose code it is a rewrite where that is not the agent's."""
    if "note" not in body:
        return ""
    return f"the searcher: {body['note']}" if body["task"] == SEARCHER else str(body["note"])


def _summary(entry: Entry, body: Mapping[str, Any]) -> str:
    match entry.kind:
        case Kind.ACCEPTED | Kind.HELD:
            return f"{body['family']:<12} {_gained(body['claim']):<33}"
        case Kind.APPLIED if body["claim"] is None:
            return f"{'apply':<12} nothing is held"
        case Kind.APPLIED:
            gain = below(Fraction(body["claim"]["gain"]))
            margin = body["claim"].get("margin")
            by = "" if margin is None else f", by {below(Fraction(margin))}"
            return f"{'apply':<12} gain {gain:>10}  {body['statement']}{by}"
        case Kind.REFUSED:
            return f"{body['family']:<12} {refusal(body['claim']):<36}"
        case Kind.UNDECIDED | Kind.INVALID:
            return f"{body['family']:<12}"
        case Kind.EMPTY if body["reason"] is not None:
            return f"{body['family']:<12} proposes nothing"
        case Kind.EMPTY:
            return f"{body['family']:<12} proposes nothing more for this program"
        case Kind.ENDED:
            return _ended(body)
        case Kind.GENESIS | Kind.REVISION:
            return f"{body['machine']}: program {shown_id(body['code'])}"
        case _:
            whose = "the searcher: " if body.get("task") == SEARCHER else ""
            return f"{whose}program {shown_id(body['code'])}" if "code" in body else ""


def _gained(claim: Mapping[str, Any]) -> str:
    """What an accepted rewrite gains: the least over all worlds, and the value where there is one."""
    gain = f"gain {below(Fraction(claim['gain'])):>10}"
    if claim["new_lower"] is None:
        return f"{gain}  fewer ticks"
    if claim["world"]:
        here = Fraction(claim["new_lower"]) - Fraction(claim["old_upper"])
        return f"{gain}, {below(here)} where {_values(claim['world'])}"
    return f"{gain}  U >= {below(Fraction(claim['new_lower']))}"


def accepted_claim(claim: Mapping[str, Any]) -> str:
    """What is proved of an accepted rewrite, with its numbers whole."""
    if claim["new_lower"] is None:
        return "the same actions and memory, for no more ticks"
    where = f" where {_values(claim['world'])}" if claim["world"] else ""
    return f"U(new) >= {claim['new_lower']} > {claim['old_upper']} >= U(old){where}"


def applied_claim(body: Mapping[str, Any]) -> list[str]:
    """What is proved of an `apply`: that what it installs improves, or besides that nothing else was worth as much."""
    claim, links = body["claim"], body["links"]
    lines = [f"claim     {body['statement']}: {links} held rewrite{'s' * (links != 1)} installed"]
    lines.append(f"gain      {claim['gain']}")
    if "margin" in claim:
        step = (
            ""
            if claim["step"] is None
            else f"after {claim['step']} step{'s' * (claim['step'] != 1)}, "
        )
        seen = _values([*claim["observed"], *claim["memory"]])
        lines.append(f"margin    {claim['margin']} above anything else that the searcher could do")
        lines.append(f"          {step}where {seen}, in every world of the search")
    return lines


def refusal(claim: Mapping[str, Any]) -> str:
    """What refuses a rewrite: bounds, or a requirement that it breaks."""
    if "requirement" in claim:
        return f"breaks the requirement {claim['requirement']}"
    if claim["new_upper"] is None:
        return "no better in any world"
    where = f" where {_values(claim['world'])}" if claim["world"] else ""
    return _bounds(claim) + where


def _bounds(claim: Mapping[str, Any]) -> str:
    new, old = Fraction(claim["new_upper"]), Fraction(claim["old_lower"])
    if new == old:
        return f"a tie: both are worth {_near(new)}"
    return (
        f"new U <= {above(new)} <= {below(old)} <= old U"
        if above(new) != below(old)
        else f"new U < old U by {below(old - new, 9)}"
    )


def _near(value: Fraction) -> str:
    low, high = below(value), above(value)
    return low if low == high else f"{low}…"


def _ended(body: Mapping[str, Any]) -> str:
    links = body["links"]
    gain = f"{links} rewrite{'s' * (links != 1)} gained {below(Fraction(body['gain']))} in all"
    return f"{CAUSES.get(body['cause'], body['cause'])}: {gain}"


def _reason(entry: Entry, body: Mapping[str, Any]) -> str | None:
    """Why a verdict is none, or how far from the best a run ended."""
    if entry.kind is not Kind.ENDED:
        reason: str | None = body.get("reason")
        return reason
    if body["optimality"] is None:
        return f"no theorem about the best: {body['reason']}"
    upper, gap = (Fraction(body["optimality"][key]) for key in ("upper", "gap"))
    return f"no program exceeds U = {above(upper, 9)}; none beats this one by more than {above(gap, 9)}"


def details(entry: Entry) -> list[str]:
    """What shows a verdict: counterexample, faults, or costs."""
    body = cast(Mapping[str, Any], entry.body)
    lines: list[str] = []
    for fault in body.get("diagnostics") or []:
        lines.append(f"{fault['code']}: {fault['message']}")
        lines += [f"  {text}" for text in fault["notes"]]
        if fault["help"]:
            lines.append(f"  help: {fault['help']}")
    if "counterexample" in body:
        lines += counterexample_lines(body)
        lines.append(f"replay: {command('cex', shown_id(entry.id))}")
    if "costs" in body:
        costs = body["costs"]
        steps = f"family {costs['family_steps']:,} steps, kernel {costs['kernel_steps']:,} steps"
        lines.append(f"costs: rlimit {costs['rlimit']:,}, {steps}")
    if not body.get("reproducible", True):
        lines.append("not reproducible: a command from outside was asked, and may answer otherwise")
    return lines


def counterexample_lines(body: Mapping[str, Any]) -> list[str]:
    """Old and new side by side from the first difference, or the path that breaks a requirement."""
    shown = body["counterexample"]
    return _path_lines(shown) if "requirement" in shown else _comparison_lines(shown, body["claim"])


def _path_lines(shown: Mapping[str, Any]) -> list[str]:
    """A path of positive weight, step by step."""
    moves, switch = shown["moves"], shown["switch"]
    where = f", where {_values(shown['world'])}" if shown["world"] else ""
    lines = [f"a path of the new program breaks {shown['requirement']}{where}:"]
    again = 0
    for i, move in enumerate(moves):
        if i == switch:
            lines.append(f"  from here on {shown['policy']} acts:")
        line = f"  {_place(move)} -> {_step(move)}"
        again = again + 1 if lines[-1].removesuffix(f" ({again + 1} times)") == line else 0
        if again:
            lines.pop()
        lines.append(f"{line} ({again + 1} times)" if again else line)
    if switch == len(moves) and shown["policy"] != "main":
        lines.append(f"  from here on {shown['policy']} acts:")
    last = moves[-1]["successor"] if moves else shown["start"]
    lines.append(f"  {_values(last)}")
    return lines


def _comparison_lines(shown: Mapping[str, Any], claim: Mapping[str, Any]) -> list[str]:
    lines = [f"bounds at the starts: {refusal(claim)}"]
    if not shown["old"]:
        lines.append("on every state that is reached both do the same, in the same ticks")
        return lines
    if shown["world"]:
        lines.append(f"in the world where {_values(shown['world'])}:")
    steps = len(shown["shared"])
    place = _place(shown["old"][0])
    if shown["acts_alike"]:
        lines.append(
            "on every state that is reached both take the same actions; they differ in ticks:"
        )
    if steps:
        go = "may be led" if _replies(shown["shared"]) else "go"
        first = _place(shown["shared"][0])
        lines.append(f"both {go} from {first} in {steps} step{'s' * (steps > 1)} to {place}:")
        lines += [f"  {_place(m)} -> {_step(m)}" for m in shown["shared"]]
    how = "with the likeliest draws that lead on"
    replies = _replies([*shown["old"], *shown["new"]])
    if any(not _is_rate(value) for _, value in replies):
        how += ", against the replies that pay least at once"
    if any(_is_rate(value) for _, value in replies):
        how += ", rates in the middle of their ranges"
    lines.append(f"first difference at {place}; then, {how}:")
    rows = [("old", "new")]
    for i in range(max(len(shown["old"]), len(shown["new"])) + 1):
        rows.append((_cell(shown["old"], i), _cell(shown["new"], i)))
    return lines + [f"  {line}" for line in _side_by_side(rows)]


def _replies(moves: list[Mapping[str, Any]]) -> list[list[Any]]:
    """What the adversary does along some moves."""
    return [named for move in moves for named in move.get("reply") or ()]


def _is_rate(value: Any) -> bool:
    """Whether a value of the adversary is a rational; no other value is written as a text that begins like a number."""
    return isinstance(value, str) and value[:1] in tuple("-0123456789")


def _side_by_side(rows: list[tuple[str, str]]) -> list[str]:
    """Two columns under their titles; one below the other on a terminal that is too narrow for both."""
    width = max(len(left) for left, _ in rows)
    lines = [f"{left:<{width}}  |  {right}".rstrip() for left, right in rows]
    columns = room()
    if columns is None or INDENT + 2 + max(map(len, lines)) <= columns:
        return lines
    lines = []
    for title, *cells in zip(*rows, strict=True):
        lines += [f"{title}:", *(f"  {cell}" for cell in cells if cell)]
    return lines


def _place(move: Mapping[str, Any]) -> str:
    """The state of a move, with the memory of the program."""
    return _values([*move["state"], *move.get("memory", ())])


def _step(move: Mapping[str, Any]) -> str:
    """What is done in a move, what the adversary does, and what it brings."""
    against = f", against {_values(move['reply'])}" if move.get("reply") else ""
    return f"{_values(move['actions'])}{against}, reward {move['reward']}"


def _cell(moves: list[Mapping[str, Any]], i: int) -> str:
    if i >= len(moves):
        return _after(moves) if i == len(moves) else ""
    m = moves[i]
    against = f", against {_values(m['reply'])}" if m.get("reply") else ""
    ticks = f"{m['ticks']} tick{'s' * (m['ticks'] != 1)}"
    return (
        f"{_place(m)}: {_values(m['actions'])}{against}, "
        f"{ticks}, weight {m['weight']}, reward {m['reward']}"
    )


def _after(moves: list[Mapping[str, Any]]) -> str:
    last = moves[-1]
    ended = [*last["successor"], *last.get("memory_after", ())]
    if ended in [[*m["state"], *m.get("memory", ())] for m in moves]:
        return f"{_values(ended)}: as before"
    return f"{_values(ended)}: " + ("and so on" if len(moves) >= STEPS_SHOWN else "the end")


def _values(named: list[list[Any]]) -> str:
    return ", ".join(f"{k} = {plain(v)}" for k, v in named)


def plain(value: Any) -> str:
    """A value out of JSON as it is written in a machine file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
