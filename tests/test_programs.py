"""Every program of tests/programs is in order, runs, rewrites itself, and leaves a ledger that holds.

What needs a rule that is still missing ends undecided and says so; the same machine at a small size is decided.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from cli import godel

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.godel"))
LARGE = {"12_inventory", "17_searcher_elaborated"}
"""Machines whose proofs take minutes: they are only checked here; inventory is decided at a small size below."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh directory to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_program_checks_runs_and_rewrites_itself(path: Path) -> None:
    assert godel("check", path).code == 0
    assert godel("fmt", "--check", path).code in (0, 3)
    if path.stem in LARGE:
        return
    done = godel("simulate", path, "--episodes", 10, "--json")
    assert done.code == 0, done.err
    assert (done.json["lower"] is None) == (path.stem == "09_hackers_delight")
    done = godel("evolve", path, "--attempts", 1)
    assert done.code == 0, done.err
    assert godel("verify").code == 0


def small(path: Path, here: Path, **changes: str) -> Path:
    """A program at another size: its text with words replaced."""
    text = path.read_text(encoding="utf-8")
    for before, after in changes.values():
        assert before in text
        text = text.replace(before, after)
    made = here / f"small_{path.name}"
    made.write_text(text, encoding="utf-8")
    return made


TANK = """
machine tank
environment {
  state level: KIND = 1
  action fill: bool
  level' = if fill then (level + 4) / 2 else level / 2
  reward = level
}
utility { discount 1/2 }
agent { policy { fill = false } }
"""


def verdict(file: Path, patch: str, here: Path) -> tuple[str, str]:
    """The verdict on a patch, and the reason of one that is none."""
    (here / "patch").write_text(f"agent {{ {patch} }}", encoding="utf-8")
    found = godel("--store", here / f"{file.stem}.db", "propose", file, "patch", "--json").json
    return found["verdict"], found["body"].get("reason", "")


def test_a_trick_on_every_word_of_32_bits_is_undecided_and_on_8_bits_decided(here: Path) -> None:
    path = Path(__file__).parent / "programs" / "09_hackers_delight.godel"
    found, reason = verdict(path, "policy { y = x & x - 1 }", here)
    assert found == "undecided"
    assert "no rule for formulas yet: more than 100,000 worlds (x: bits[32] = any)" in reason
    less = small(
        path, here, width=("bits[32]", "bits[8]"), turns=("0..31", "0..7"), name=("hd01", "small")
    )
    assert verdict(less, "policy { y = x & x - 1 }", here)[0] == "accepted"
    assert verdict(less, "policy { y = x & x + 1 }", here)[0] == "refused"


def test_rational_states_are_undecided_and_integer_ones_decided(here: Path) -> None:
    rational, integer = here / "rational.godel", here / "integer.godel"
    rational.write_text(TANK.replace("KIND", "rat 0..4"), encoding="utf-8")
    found, reason = verdict(rational, "policy { fill = true }", here)
    assert (found, "level is a rat 0..4, not to be listed" in reason) == ("undecided", True)
    halved = TANK.replace("KIND", "int 0..4").replace("/ 2", "div 2")
    integer.write_text(halved, encoding="utf-8")
    assert verdict(integer, "policy { fill = true }", here)[0] == "accepted"


def test_a_million_states_at_a_small_size_are_decided(here: Path) -> None:
    path = Path(__file__).parent / "programs" / "12_inventory.godel"
    less = small(path, here, cap=("CAP = 999", "CAP = 9"), start=("= 100\n", "= 9\n"))
    assert verdict(less, "param low: int 0..50 = 5", here)[0] == "accepted"
