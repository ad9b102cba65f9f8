"""Settings for all tests: `--soundness N`, hypothesis without clocks or chance, rare collections of garbage."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("godel", deadline=None, derandomize=True)
settings.load_profile("godel")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random rewrites the soundness test judges, and where it begins."""
    parser.addoption(
        "--soundness", type=int, default=3_000, metavar="N", help="random rewrites to judge (3000)"
    )
    parser.addoption(
        "--soundness-from", type=int, default=0, metavar="S", help="seed of the first machine (0)"
    )


def pytest_collection_finish() -> None:
    """Thousands of tests stay to the end: the garbage collector need not walk over them again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The verdicts of all chunks of the soundness test: one line for all, and one for each part of the language."""
    verdicts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, counted in getattr(report, "user_properties", ()):
                if name == "verdicts" and report.when == "call":
                    verdicts.update(counted)
    by_construct: dict[str, Counter[str]] = {}
    for key, counted in sorted(verdicts.items()):
        construct, verdict = key.split("|")
        by_construct.setdefault(construct, Counter())[verdict] += counted
    for construct, found in by_construct.items():
        total = sum(found.values())
        shares = ", ".join(f"{n.lower()} {100 * k / total:.1f} %" for n, k in sorted(found.items()))
        head = f"  with {construct}:" if construct else "soundness:"
        terminalreporter.write_line(f"{head} {total:,} random rewrites, {shares}")
