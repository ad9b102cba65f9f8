"""What `make demo` shows: README quotes it, and the run is the one that is promised."""

from __future__ import annotations

import os
import re
import shutil
import sys

import pytest
from cli import ROOT, environment, in_terminal

README = ROOT / "README.md"
BLOCK = re.compile(r"(```text\n\$ make demo\n)(.*?)(```\n)", re.DOTALL)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the demo prints on a terminal, in a folder of its own."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(ROOT / "examples", folder / "examples")
    command = [sys.executable, "examples/demo.py"]
    code, printed = in_terminal(command, cwd=folder, env=environment(TERM="dumb"), stderr=False)
    assert code == 0, printed
    return printed


def test_readme_shows_the_output_of_the_demo(shown: str) -> None:
    text = README.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_GOLDEN"):
        text = BLOCK.sub(lambda m: m[1] + shown.lstrip("\n") + m[3], text)
        README.write_text(text, encoding="utf-8")
    quoted = BLOCK.search(text)
    assert quoted is not None
    assert quoted[2] == shown.lstrip("\n")


def test_demo_accepts_at_least_ten_rewrites_of_states_regions_and_everything(shown: str) -> None:
    log = shown.split("# the history")[1].split("# one proof")[0]
    families = re.findall(r"^ +\d+ accepted +(\w+)", log, re.MULTILINE)
    assert len(families) >= 10
    assert set(families) == {"patch_one", "patch_region", "patch_all"}


def test_demo_refuses_between_what_it_accepts_and_shows_why(shown: str) -> None:
    verdicts = re.findall(
        r"^ +\d+ (accepted|refused)", shown.split("# the history")[0], re.MULTILINE
    )
    between = "".join(v[0] for v in verdicts)
    assert re.search("ar+a", between), between
    assert "first difference at" in shown


def test_demo_ends_within_a_hundred_thousandth_of_the_best(shown: str) -> None:
    ends = re.findall(
        r"no program exceeds U = ([\d.]+); none beats this one by more than ([\d.]+)", shown
    )
    best, gap = ends[-1]
    assert "the searcher stopped" in shown
    assert best.startswith("0.414640")
    assert float(gap) < 1e-5
    assert re.search(
        r"checked (\d+)/\1 theorems, 0 solver-trusted, 0 skipped, head [0-9a-f]{64}", shown
    )
