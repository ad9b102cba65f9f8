"""Verbs that learn a search: suite, calibrate, learn."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from godel.cli.options import Confidence, json_option, rlimit_option
from godel.cli.output import (
    FileFault,
    above,
    below,
    load_machine,
    note,
    print_json,
    progress_bar,
    say,
    shown_id,
    usage,
    write_text,
)

if TYPE_CHECKING:
    from godel.learning.calibrate import Calibration
    from godel.learning.learn import Learned, Run, Subject

confidence_option = click.option(
    "--confidence",
    type=Confidence(),
    default="19/20",
    show_default=True,
    help="The probability that all intervals together hold the true rates.",
)
SUMMARY, TABLE, PLOT, SEARCH = "summary.json", "table.csv", "plot.svg", "search.godel"


@click.command()
@click.argument("folder")
@click.option("--count", type=click.IntRange(1, 10_000), default=80, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@json_option
def suite(folder: str, count: int, seed: int, as_json: bool) -> None:
    """Write a suite of small machines of several kinds into FOLDER, to learn a search on."""
    from godel.learning.suite import KINDS, make_suite

    path = _empty_folder(folder)
    names = []
    for name, text in make_suite(count, seed):
        write_text(str(path / f"{name}.godel"), text)
        names.append(name)
    if as_json:
        print_json("suite", {"folder": folder, "machines": names})
    else:
        kinds = ", ".join(f"{sum(n.startswith(k) for n in names)} {k}" for k in KINDS)
        say(
            f"wrote {count} machine{'s' * (count != 1)} to {folder}: {kinds}; now: godel learn {folder}"
        )


def _empty_folder(folder: str, hint: str = "name a folder that is new") -> Path:
    """A folder that is made here, or holds nothing."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise usage(f"{folder} is not empty", hint)
    except OSError as error:
        raise usage(f"cannot make {folder}: {error.strerror}") from None
    return path


# --- calibrate -----------------------------------------------------------------------------------


@click.command(name="calibrate")
@click.argument("ledgers", nargs=-1, required=True, metavar="LEDGER…")
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many attempts count of each ledger in each situation: its first ones. Choose before looking.",
)
@confidence_option
@click.option(
    "-o", "--output", metavar="FILE", help="Write the machine of the last ledger with this world."
)
@json_option
def calibrate_command(
    ledgers: tuple[str, ...],
    samples: int,
    confidence: Fraction,
    output: str | None,
    as_json: bool,
) -> None:
    """Estimate rates of success and costs from LEDGERs, and print them as a `world` block of their search.

    A rate is an `unknown` between the ends of an exact interval (Clopper and Pearson). Nothing is adopted: `-o FILE` and
    then `godel revision FILE` do that. Attempts of one ledger are not independent; with `--samples 1` each situation takes
    one of them.
    """
    from contextlib import ExitStack

    from godel.learning.calibrate import calibrate
    from godel.learning.records import NoRecord, read_records
    from godel.store import Store

    with ExitStack() as stack:
        stores = [stack.enter_context(Store.open(p, readonly=True)) for p in ledgers]
        try:
            records = read_records(((st.entries(), st.blob) for st in stores), samples)
            found = calibrate(records, confidence)
        except NoRecord as error:
            raise usage(str(error)) from None
        if output is not None:
            write_text(output, _adopted(stores[-1], found))
    if as_json:
        print_json("calibration", {**_calibration_json(found), "file": output})
        return
    say(found.text)
    for line in _rate_lines(found):
        note(line)
    if samples > 1:
        note(f"note: the first {samples} attempts of a ledger are taken to be independent")
    if output is not None:
        note(f"wrote {output}; now: godel revision {output}")


def _adopted(store: Any, found: Calibration) -> str:
    """The file of a ledger's machine with its installed code and the calibrated world."""
    from dsl.errors import DslError
    from dsl.printer import print_machine
    from dsl.syntax import Machine
    from godel.history import read_history, searching

    history = read_history(store.entries(), store.blob)
    declarations = history.load_declarations()
    agent, searcher = (history.load_code(lineage.head) for lineage in history.tasks.values())
    try:
        # a search that was not the machine's own has read nothing of it until now
        searching(declarations, found.search, own=True).chapter.program(searcher)
    except DslError as error:
        raise usage(
            f"the search cannot stand in the file of {history.machine}: {error}",
            "without -o the world alone is printed",
        ) from None
    return print_machine(Machine(declarations, agent, found.search, searcher))


def _rate_lines(found: Calibration) -> list[str]:
    """One line for each rate: what it rests on."""
    count = found.records.ledgers
    ledgers = f"{count} ledger{'s' * (count != 1)}"
    if not found.rates:
        return [f"in {ledgers} no family of the agent was tried: nothing is estimated"]
    lines = [f"with probability {found.confidence} or more all these intervals hold ({ledgers}):"]
    width = max(len(r.name) for r in found.rates)
    for rate in found.rates:
        record = rate.record
        skipped = f", {record.skipped} more left out" if record.skipped else ""
        lines.append(
            f"  {rate.name:<{width}}  {rate.low}..{rate.high}  {record.wins} of {record.count}{skipped}"
        )
    return lines


def _calibration_json(found: Calibration) -> dict[str, Any]:
    return {
        "ledgers": found.records.ledgers,
        "confidence": str(found.confidence),
        "rates": [
            {
                "name": r.name,
                "family": r.family,
                "fails": r.situation[0],
                "wins": r.situation[1],
                "low": str(r.low),
                "high": str(r.high),
                "accepted": r.record.wins,
                "attempts": r.record.count,
                "left_out": r.record.skipped,
            }
            for r in found.rates
        ],
        "world": found.text,
    }


# --- learn ---------------------------------------------------------------------------------------


@click.command(name="learn")
@click.argument("folder", metavar="SUITE/")
@click.option("-o", "--output", metavar="FOLDER", default="learned", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the part kept apart.")
@click.option(
    "--apart",
    type=click.IntRange(1),
    metavar="N",
    help="Machines kept apart; half where not given.",
)
@confidence_option
@rlimit_option
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Machines that run at once.",
)
@json_option
def learn_command(
    folder: str,
    output: str,
    seed: int,
    apart: int | None,
    confidence: Fraction,
    rlimit: int,
    jobs: int,
    as_json: bool,
) -> None:
    """Calibrate the search that the machines in SUITE/ share on one part of them, let a machine rewrite its searcher under
    that, and measure what this saves on the part kept apart.

    Writes the ledgers, a table, a plot and the learned search to FOLDER.
    """
    from godel.learning.learn import NotLearned, learn, require_learnable, split

    subjects = _subjects(folder)
    count = len(subjects) // 2 if apart is None else apart
    if not 0 < count < len(subjects):
        raise usage(
            f"{len(subjects)} machine{'s' * (len(subjects) != 1)} cannot be parted with {count} kept apart",
            "godel suite FOLDER --count 80 makes a suite",
        )
    calibration_part, kept_apart = split(subjects, seed, count)
    try:
        require_learnable(subjects)
        path = _empty_folder(output, "-o FOLDER names another")
        with _leftovers(path):
            found = learn(
                calibration_part,
                kept_apart,
                path,
                confidence=confidence,
                rlimit=rlimit,
                jobs=jobs,
                stage=progress_bar,
            )
    except NotLearned as error:
        raise usage(str(error)) from None
    summary = _summary(found)
    _write(path, found, summary)
    if as_json:
        print_json("learn", {"folder": output, **summary})
    else:
        _say(found, output)


@contextmanager
def _leftovers(path: Path) -> Iterator[None]:
    """Say, when something goes wrong, what is in the way of another try."""
    try:
        yield
    except BaseException:
        note(f"note: {path} holds the ledgers made until now; remove it, or name another folder")
        raise


def _subjects(folder: str) -> list[Subject]:
    """The machines of a suite, which share their search."""
    from dsl.errors import DslError
    from godel.checking import check_totality
    from godel.learning.learn import Subject

    files = sorted(Path(folder).glob("*.godel"))
    if not files:
        raise usage(f"there are no machine files in {folder}", f"godel suite {folder} writes some")
    found: list[Subject] = []
    for file in files:
        text, machine = load_machine(str(file))
        try:
            check_totality(machine)
        except DslError as error:
            raise FileFault(str(file), text, error) from None
        found.append(Subject(machine.declarations.name, text, machine))
    names = [m.name for m in found]
    for name in names:
        if names.count(name) > 1:
            raise usage(f"two machines in {folder} are called {name}")
    return found


# --- what was learned ----------------------------------------------------------------------------


def _mean(values: list[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)


def _summary(found: Learned) -> dict[str, Any]:
    data: dict[str, Any] = {
        "calibration": _calibration_json(found.calibration),
        "calibrated_on": list(found.calibrated_on),
        "rewrites": [e.id for e in found.rewrites],
        "promise": None,
        "measured": None,
        "machines": [],
    }
    if found.promise is None:
        return data
    data["promise"] = {"low": str(found.promise.low), "high": str(found.promise.high)}
    data["measured"] = str(found.measured)
    for word, runs in (("before", found.before), ("after", found.after)):
        data[word] = {
            "ticks": str(_mean([r.ticks for r in runs])),
            "utility": str(_mean([r.utility for r in runs])),
            "departures": sum(r.departures for r in runs),
        }
    data["machines"] = [
        {"name": old.name, "before": _run_json(old), "after": _run_json(new)}
        for old, new in zip(found.before, found.after, strict=True)
    ]
    return data


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "ticks": str(run.ticks),
        "utility": str(run.utility),
        "worth": str(run.worth),
        "first_ticks": str(run.first_ticks),
        "attempts": run.attempts,
        "departures": run.departures,
    }


def _write(path: Path, found: Learned, summary: dict[str, Any]) -> None:
    """The files of a run beside its ledgers."""
    from dsl.printer import print_code, print_search

    write_text(str(path / SUMMARY), json.dumps(summary, indent=1) + "\n")
    blocks = [print_search(found.calibration.search), print_code(found.last, "searcher")]
    write_text(str(path / SEARCH), "\n\n".join(blocks) + "\n")
    if not found.before:
        return
    with (path / TABLE).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        words = ("ticks", "utility", "worth", "first_ticks", "attempts", "departures")
        rows.writerow(["machine", *(f"{w}_{when}" for when in ("before", "after") for w in words)])
        for machine in summary["machines"]:
            values = [machine[when][w] for when in ("before", "after") for w in words]
            rows.writerow([machine["name"], *values])
    try:
        from godel.learning.plot import plot_learned
    except ModuleNotFoundError:
        note("note: no plot was drawn, since matplotlib is not installed")
        note("hint: pip install 'godel-machine[plot]'")
        return
    plot_learned(found, path / PLOT)


def _say(found: Learned, output: str) -> None:
    from dsl.printer import print_code

    for line in _rate_lines(found.calibration):
        say(line)
    if found.promise is None:
        say("under this world no rewrite of the searcher was proved; nothing is measured")
        note("hint: more machines make the intervals narrower")
        return
    for entry in found.rewrites:
        gain = below(Fraction(cast(Any, entry.body)["claim"]["gain"]))
        say(f"rewrite   gains {gain} or more in every such world  {shown_id(entry.id)}")
    say(print_code(found.last, "searcher"))
    low, high = below(found.promise.low), above(found.promise.high)
    say(f"promised  an episode gains {low} to {high} in the utility of the search")
    inside = found.promise.low <= found.measured <= found.promise.high
    where = "inside" if inside else "outside"
    say(f"measured  {below(found.measured)} on {len(found.before)} machines kept apart: {where}")
    for word, runs in (("first", found.before), ("learned", found.after)):
        ticks, utility = _mean([r.ticks for r in runs]), _mean([r.utility for r in runs])
        departures = sum(r.departures for r in runs)
        say(
            f"{word:<8}  {below(ticks, 1)} ticks until nothing more is found, utility {below(utility)}, "
            f"{departures} departures from the declared world"
        )
    files = [name for name in (SUMMARY, TABLE, PLOT, SEARCH) if (Path(output) / name).exists()]
    say(f"wrote {output}/: {', '.join(files)}, and the ledgers")
