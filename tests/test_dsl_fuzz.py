"""Damaged machine files get a diagnosis or are machines, never a crash; `bench/fuzz_language.py` tries more of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

MUTANTS = 1_000


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    """The script that makes the mutants."""
    path = Path(__file__).parent.parent / "bench" / "fuzz_language.py"
    spec = importlib.util.spec_from_file_location("fuzz_language", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_mutants_are_machines_or_get_a_diagnosis(fuzz: ModuleType) -> None:
    said: list[str] = []
    tally = fuzz.run(MUTANTS, 0, limit=float("inf"), say=said.append)
    assert said == []
    assert tally.accepted + tally.refused == MUTANTS
    assert tally.accepted > MUTANTS // 10
    assert len(tally.codes) > 15


def test_mutant_is_made_again_by_its_number(fuzz: ModuleType) -> None:
    programs = fuzz.read_programs()
    assert fuzz.mutant(7, programs, ["x", "1"]) == fuzz.mutant(7, programs, ["x", "1"])
