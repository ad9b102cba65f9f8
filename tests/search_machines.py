"""Machines with searches of their own, for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dsl.parser import parse_machine
from godel.evolve import Limits, SearchFile, Session, begin
from godel.ledger import Entry, Kind
from godel.store import Store

LAMPS = """
machine lamps
environment {
  state a: bool = false
  state b: bool = false
  action left: bool
  action right: bool
  a'     = left
  b'     = right
  reward = (if a' then 1 else 0) + (if b' then 1 else 0)
}
utility { discount 1/2 }
agent {
  policy {
    left  = false
    right = false
  }
}
"""

FAMILIES = """
  family tidy  = simplify()
  family patch = improve(states: one)
  family self  = improve(target: searcher, states: one)
  prices { gain_unit: 1/10, cost_unit: 1_000_000 }
"""

REPORTS = """
    report fails_tidy: int 0..1
    report fails_patch: int 0..1
    report fails_self: int 0..1
    report wins_patch: int 0..3
    report pending: bool
    report held: int 0..40
    report applied: int 0..60
    report last: Outcome
    report step: int 0..9
    report spent: int 0..20
"""

LAW = """
    action try: Attempt
    chance outcome: Outcome = if try == self
      then { accepted: 1/4, refused: 1/4, undecided: 1/8, invalid: 1/8, empty: 1/4 }
      else { accepted: 1/4, refused: 1/4, undecided: 1/8, invalid: 1/8, empty: 1/4 }
    chance gain: int 0..40 = { 0: 1/8, 13: 1/8, 20: 1/4, 26: 1/2 }
    chance cost: int 0..9 = { for i in 0..3: i: 1/4 }
    reward = 0
"""


def machine(
    policy: str,
    *,
    switch: str = "at_once",
    families: str = FAMILIES,
    reports: str = REPORTS,
    law: str = LAW,
    utility: str = "horizon 9",
    more: str = "",
    slots: str = "",
) -> str:
    """The lamps with a search."""
    return f"""{LAMPS}
search {{
  {families}
  switch {switch}
  world {{ {reports} {law} }}
  utility {{ {utility} }}
  {more}
}}
searcher {{
  {slots}
  policy {{ {policy} }}
}}
"""


@contextmanager
def session_of(text: str, folder: Path) -> Iterator[Session]:
    """A ledger begun with a machine and its own search."""
    tree = parse_machine(text)
    assert tree.search is not None and tree.searcher is not None
    with Store.open(folder / "l.db", create=True) as store:
        search = SearchFile(tree.search, tree.searcher, True)
        begin(store, tree, search, source=text, seed=0, kind=Kind.GENESIS)
        yield Session.resume(store, rlimit=50_000_000, threads=1)


def run(session: Session, limits: Limits | None = None) -> list[Entry]:
    """The entries of a run."""
    found: list[Entry] = []
    session.evolve(limits or Limits(), found.append)
    return found
