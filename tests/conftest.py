"""Settings for all tests: `--soundness N`, hypothesis without clocks or chance, and the shares of the soundness test."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

settings.register_profile("godel", deadline=None, derandomize=True)
settings.load_profile("godel")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random rewrites the soundness test judges."""
    parser.addoption(
        "--soundness", type=int, default=2_000, metavar="N", help="random rewrites to judge (2000)"
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line with the verdicts of all chunks of the soundness test."""
    verdicts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, counted in getattr(report, "user_properties", ()):
                if name == "verdicts" and report.when == "call":
                    verdicts.update(counted)
    if verdicts:
        total = sum(verdicts.values())
        shares = (f"{n.lower()} {100 * k / total:.1f} %" for n, k in sorted(verdicts.items()))
        terminalreporter.write_line(f"soundness: {total:,} random rewrites, {', '.join(shares)}")
