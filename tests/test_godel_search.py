"""The search of a machine: its reports, holding and applying, rewrites of the searcher, and departures from its world."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cli import ROOT, godel
from search_machines import LAMPS, LAW, machine, run, session_of

from dsl.check import check_machine
from dsl.errors import DslError
from dsl.parser import parse_blocks, parse_machine
from dsl.rewrite import derive_edits
from dsl.search import OUTCOMES, elaborate_search, search_machine
from godel.evolve import Limits
from godel.ledger import Kind
from godel.searching import Search, Step
from godel.store import Store
from godel.verify import verify

PROGRAMS = Path(__file__).parent / "programs"


# --- elaboration -----------------------------------------------------------------------------------


def test_program_15_elaborates_to_program_17() -> None:
    machine = parse_machine((PROGRAMS / "15_searcher.godel").read_text(encoding="utf-8"))
    other = parse_machine((PROGRAMS / "17_searcher_elaborated.godel").read_text(encoding="utf-8"))
    assert search_machine(machine) == other


def elaborated(text: str) -> Any:
    """What the search of a text stands for, checked."""
    machine = parse_machine(text)
    check_machine(machine)
    assert machine.search is not None
    return elaborate_search(machine.declarations, machine.search)


def test_names_of_the_world_may_be_those_that_elaboration_would_choose() -> None:
    law = LAW + "let won_agent = true  state over: int 0..1 = 0  over' = over"
    found = elaborated(machine("try = stop", law=law))
    names = [i.name for i in found.environment.items if hasattr(i, "name")]
    assert {"over", "over_", "won_agent", "won_agent_"} <= set(names)


def test_enums_of_the_machine_that_the_search_does_not_read_are_left_out() -> None:
    text = "machine m enum Step { forth, back } enum Mood { glad, sad } " + machine(
        "try = if MOOD == glad then stop else stop"
    ).replace("machine lamps", "const MOOD = glad", 1)
    assert [i.name for i in elaborated(text).items] == ["Attempt", "Outcome", "Mood", "MOOD"]


HALVES = "{ accepted: 1/2, refused: 1/2 }"
LAWS = (
    HALVES,
    "if match try { tidy: true, patch: false, self: false } then { accepted: 1 } else { refused: 1 }",
    "let p = 1/3 in match try { tidy | patch: { accepted: p, refused: 1 - p }, self: { empty: 1 } }",
    "match try { tidy: match try { tidy: { accepted: 1 }, else: { empty: 1 } }, else: { refused: 1 } }",
)
GAINS = "match try { tidy: 2, patch: 3, self: 1 }"


@pytest.mark.parametrize(
    "law",
    [
        *(f"chance outcome: Outcome = {law}" for law in LAWS),
        "adversary outcome: Outcome where match try { tidy: outcome != none, patch: true, self: outcome == empty }",
        f"adversary outcome: Outcome adversary cost: int 0..3 where cost < {GAINS}",
        f"chance outcome: Outcome = {HALVES} adversary gain: int 0..5 where gain > {GAINS}",
    ],
)
def test_laws_say_what_families_do_and_nothing_is_drawn_else(law: str) -> None:
    text = machine("try = stop", law=f"action try: Attempt {law} reward = 0")
    tree = parse_machine(text)
    assert tree.search is not None
    task = Search(tree.declarations, tree.search).task
    names = [v.name for v in (*task.adversaries, *task.chances)]
    ((state, _),) = task.start_states()
    for tried in range(2):  # stop, apply
        met = set()
        for reply in task.replies(state, (tried,)):
            for drawn, weight, _, _ in task.draws(state, (tried,), (), reply):
                if weight:
                    met.add(
                        tuple(
                            (n, x)
                            for n, x in zip(names, (*reply, *drawn), strict=True)
                            if "offered" not in n
                        )
                    )
        assert len(met) == 1 and all(x == 0 for _, x in met.pop())
    families = [t for t in (2, 3, 4) if task.replies(state, (t,))]
    assert families == [2, 3, 4]


# --- reports, against a second reading of the table in the language's description ------------------


def test_members_that_another_enum_has_too_are_named_in_full() -> None:
    text = "machine m enum Mood { none, stop, glad } const MOOD = glad " + machine(
        "try = if MOOD == glad then Attempt.stop else patch"
    ).replace("machine lamps", "", 1)
    assert [i.name for i in elaborated(text).items] == ["Attempt", "Outcome", "Mood", "MOOD"]


@dataclass
class Reading:
    """The reports as the table says them."""

    held_mode: bool
    families: dict[str, str]
    tops: dict[str, int]
    now: dict[str, Any] = field(default_factory=dict)
    holding: int = 0

    def __post_init__(self) -> None:
        self.now = {name: 0 for name in self.tops}
        self.now.update(pending=False, last="none")

    def add(self, name: str, more: int) -> None:
        self.now[name] = min(self.tops[name], self.now[name] + more)

    def step(self, step: Step) -> None:
        """One line of the table after the other."""
        accepted = step.outcome == "accepted"
        target = self.families.get(step.tried)
        for family, its in self.families.items():
            if accepted and target == its:
                self.now[f"fails_{family}"] = 0
            elif step.tried == family:
                self.add(f"fails_{family}", 1)
            if accepted and step.tried == family:
                self.add(f"wins_{family}", 1)
        self.now["last"] = step.outcome
        self.add("step", 1)
        self.add("spent", step.cost)
        if not self.held_mode:
            self.add("applied", step.gain)
            return
        if step.tried == "apply":
            self.add("applied", self.now["held"])
            self.now["held"], self.now["pending"] = 0, False
        else:
            self.add("held", step.gain)
            self.now["pending"] = self.now["pending"] or (accepted and target == "agent")


@pytest.mark.parametrize("switch", ["held", "at_once"])
def test_reports_are_those_of_the_table(switch: str) -> None:
    families = {"tidy": "agent", "patch": "agent", "self": "searcher"}
    tops = {"step": 5, "spent": 7, "held": 6, "applied": 9}
    tops.update({f"{kind}_{name}": 2 for kind in ("fails", "wins") for name in families})
    reports = "report pending: bool report last: Outcome " + " ".join(
        f"report {name}: int 0..{top}" for name, top in tops.items()
    )
    law = re.sub("gain: int 0..40 = .*", "gain: int 0..40 = { for i in 0..4: i: 1/5 }", LAW)
    tree = parse_machine(machine("try = stop", reports=reports, switch=switch, law=law))
    assert tree.search is not None and tree.searcher is not None
    search = Search(tree.declarations, tree.search)
    program = search.chapter.program(tree.searcher)
    for seed in range(60):
        rng = Random(seed)
        reading, now = Reading(switch == "held", families, tops), search.start(program)
        for _ in range(8):
            tried = rng.choice(["apply", *families])
            outcome = "none" if tried == "apply" else rng.choice(OUTCOMES[1:])
            gained = families.get(tried) == "agent" and outcome == "accepted"
            cost = 0 if tried == "apply" else rng.randrange(4)
            step = Step(tried, outcome, rng.randrange(1, 5) if gained else 0, cost)
            now, departed = search.follow(now, step, ())
            assert not departed
            reading.step(step)
            shown = {**now.reports, "last": OUTCOMES[int(str(now.reports["last"]))]}
            assert {n: shown[n] for n in reading.now} == reading.now
            assert now.reports["over"] == (tried == "self" and outcome == "accepted")


# --- runs ------------------------------------------------------------------------------------------


def test_what_is_held_is_installed_by_apply_and_dropped_at_the_end(tmp_path: Path) -> None:
    with session_of(
        machine("try = if step == 1 then apply else patch", switch="held", utility="horizon 3"),
        tmp_path,
    ) as session:
        first = session.history.head
        kinds, heads = [], []

        def watch(entry: Any) -> None:
            kinds.append(entry.kind.value)
            heads.append(session.history.head)

        session.evolve(Limits(), watch)
        assert kinds == ["held", "applied", "held", "ended"]
        applied, dropped, ended = list(session.store.entries())[-3:]
        assert heads == [first, *[applied.body["result"]] * 3]
        assert (applied.body["statement"], applied.body["links"]) == ("improving", 1)
        assert dropped.body["parent"] == applied.body["result"]
        assert ended.body["held"] == dropped.body["result"] != ended.body["code"]
        assert session.history.agent.held is None
        found = verify(session.store)
        assert (found.entries, found.program) == (5, applied.body["result"])
        assert found.gain == applied.body["claim"]["gain"]


def test_a_later_attempt_works_on_what_is_held(tmp_path: Path) -> None:
    with session_of(machine("try = patch", switch="held"), tmp_path) as session:
        first, second, *_ = run(session, Limits(attempts=2))
        assert second.body["parent"] == first.body["result"]


def test_apply_with_nothing_held_counts_as_a_step_and_does_nothing(tmp_path: Path) -> None:
    for switch in ("held", "at_once"):
        (tmp_path / switch).mkdir()
        text = machine("try = if step == 0 then apply else stop", switch=switch)
        with session_of(text, tmp_path / switch) as session:
            applied, ended = run(session)
            assert (applied.kind, applied.body["claim"]) == (Kind.APPLIED, None)
            assert (ended.body["step"], ended.body["links"]) == (1, 0)
            verify(session.store)


SMALL = """
    action try: Attempt
    chance outcome: Outcome = { accepted: 1/2, refused: 1/4, empty: 1/4 }
    reward = if outcome == accepted and try != self then 1 else 0
"""


def test_a_rewrite_of_the_searcher_ends_the_episode_and_acts_in_the_next(tmp_path: Path) -> None:
    text = machine(
        "try = if fails_self > 0 then stop else self",
        reports="report fails_self: int 0..1 report step: int 0..3",
        law=SMALL,
        utility="horizon 3",
    )
    with session_of(text, tmp_path) as session:
        entries = run(session)
        won = [e for e in entries if e.body["task"] == "searcher" and e.kind is Kind.ACCEPTED]
        assert won and all(e.body["gain"] == 0 for e in won)
        assert [e.body["episode"] for e in won] == list(range(1, len(won) + 1))
        assert session.history.tasks["searcher"].head == won[-1].body["result"]
        assert session.history.head == session.history.agent.first or len(entries) > len(won) + 1
        verify(session.store)
        # what is installed acts: the next decision is that of the new program, from the start of an episode
        again = session.history.search.decide(session.history.searcher, session.history.situation)
        assert again[0] in ("patch", "tidy", "self", "stop")


def test_a_person_rewrites_the_searcher_through_the_same_gate(tmp_path: Path) -> None:
    text = machine("try = stop", law=SMALL, reports="report fails_patch: int 0..1")
    with session_of(text, tmp_path) as session:
        old = session.installed("searcher")
        for policy, kind in (("try = patch", Kind.ACCEPTED), ("try = stop", Kind.REFUSED)):
            found = parse_blocks(f"searcher {{ policy {{ {policy} }} }}").searcher
            assert found is not None
            edits = derive_edits(session.installed("searcher"), found)
            entry = session.propose(edits, "by hand", "searcher")
            assert (entry.kind, entry.body["task"]) == (kind, "searcher")
        assert session.installed("searcher") != old
        assert session.history.links == []
        verify(session.store)


def test_requirements_of_a_search_bind_its_searcher(tmp_path: Path) -> None:
    text = machine(
        "try = stop",
        law=SMALL,
        reports="report fails_patch: int 0..1",
        more="require idle: always try != patch",
    )
    with session_of(text, tmp_path) as session:
        (genesis,) = session.store.entries()
        (kept,) = genesis.body["search_requirements"]
        assert kept["name"] == "idle"
        found = parse_blocks("searcher { policy { try = patch } }").searcher
        assert found is not None
        edits = derive_edits(session.installed("searcher"), found)
        entry = session.propose(edits, "by hand", "searcher")
        assert entry.kind is Kind.REFUSED
        assert entry.body["claim"]["requirement"] == "idle"
        verify(session.store)


def test_a_proposal_cuts_the_episode_and_drops_what_is_held(tmp_path: Path) -> None:
    with session_of(machine("try = patch", switch="held"), tmp_path) as session:
        session._attempt("patch")
        head, held = session.history.head, session.history.agent.held
        assert held is not None and held != head
        found = parse_blocks("agent { policy { left = true right = false } }").agent
        assert found is not None
        entry = session.propose(derive_edits(session.head_code, found), "by hand")
        assert (entry.kind, entry.body["parent"]) == (Kind.ACCEPTED, head)
        assert session.history.agent.held is None and not session.history.running
        verify(session.store)


def test_an_episode_ends_when_its_world_is_done(tmp_path: Path) -> None:
    with session_of(
        machine("try = patch", law=LAW + "done = wins_patch == 1"), tmp_path
    ) as session:
        accepted, ended = run(session)
        assert (accepted.kind, ended.body["cause"]) == (Kind.ACCEPTED, "done")
        verify(session.store)


def test_a_searcher_that_never_stops_is_stopped(tmp_path: Path) -> None:
    text = machine("try = patch", utility="discount 9/10", reports="report fails_patch: int 0..1")
    with session_of(text, tmp_path) as session:
        *_, ended = run(session)
        assert ended.body["cause"] == "circle"
        verify(session.store)
    (tmp_path / "horizon").mkdir()
    with session_of(machine("try = tidy"), tmp_path / "horizon") as session:
        *_, ended = run(session)
        assert (ended.body["cause"], ended.body["step"]) == ("horizon", 9)


# --- departures ------------------------------------------------------------------------------------


def test_what_the_world_rules_out_is_recorded(tmp_path: Path) -> None:
    law = re.sub("gain: int 0..40 = .*", "gain: int 0..2 = { 2: 1 }", LAW)
    with session_of(
        machine("try = if step < 2 then patch else stop", law=law), tmp_path
    ) as session:
        first, _, ended = run(session)
        assert first.body["departures"] == ["gain 26 is beyond 2"]
        assert ended.body["cause"] == "stop"
        assert session.history.departures >= 1
        verify(session.store)
    (tmp_path / "strict").mkdir()
    with session_of(machine("try = patch", law=law), tmp_path / "strict") as session:
        *made, ended = run(session, Limits(strict=True))
        assert (len(made), ended.body["cause"]) == (1, "departure")
        verify(session.store)


HIDDEN = """
    state luck: bool = { true: 1/2, false: 1/2 }
    luck' = luck
    action try: Attempt
    chance outcome: Outcome = if luck then { accepted: 1 } else { refused: 1/2, empty: 1/2 }
    reward = 0
"""


def test_the_monitor_follows_what_is_hidden() -> None:
    tree = parse_machine(machine("try = stop", law=HIDDEN))
    assert tree.search is not None and tree.searcher is not None
    search = Search(tree.declarations, tree.search)
    now = search.start(search.chapter.program(tree.searcher))
    assert now.support is not None and len(now.support) == 2
    now, departed = search.follow(now, Step("patch", "refused", 0, 0), ())
    assert not departed and now.support is not None and len(now.support) == 1
    now, departed = search.follow(now, Step("patch", "accepted", 0, 0), ())
    assert departed == ("patch: the declared law gives outcome accepted the probability 0",)
    _, departed = search.follow(now, Step("patch", "empty", 0, 0), ())
    assert not departed


def test_a_rational_rate_rules_out_nothing_that_it_allows_somewhere() -> None:
    law = "unknown p: rat 0..1 action try: Attempt chance outcome: Outcome = { accepted: p, refused: 1 - p } reward = 0"
    tree = parse_machine(machine("try = stop", law=law))
    assert tree.search is not None and tree.searcher is not None
    search = Search(tree.declarations, tree.search)
    now = search.start(search.chapter.program(tree.searcher))
    for outcome, departs in (("accepted", False), ("refused", False), ("empty", True)):
        assert bool(search.follow(now, Step("patch", outcome, 0, 0), ())[1]) == departs


# --- the command line ------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    text = machine(
        "try = if step < 2 then patch else stop",
        law=SMALL,
        reports="report fails_patch: int 0..1 report step: int 0..3",
    )
    (tmp_path / "lamps.godel").write_text(text)
    return tmp_path


def test_a_search_is_run_shown_written_and_proposed_to(here: Path) -> None:
    assert godel("check", "lamps.godel").code == 0
    assert godel("evolve", "lamps.godel").code == 0
    shown = godel("show", "--search-world").out
    assert shown.startswith("machine lamps_search")
    check_machine(parse_machine(shown))
    assert godel("checkout", "@", "-o", "out.godel").code == 0
    assert godel("check", "out.godel").code == 0
    assert "search {" in (here / "out.godel").read_text()
    # the file that was written is the machine as it is now
    assert godel("evolve", "out.godel").code == 0
    (here / "p").write_text("searcher { policy { try = patch } }")
    done = godel("propose", "out.godel", "p", "--json")
    assert (done.code, done.json["verdict"], done.json["body"]["task"]) == (
        0,
        "accepted",
        "searcher",
    )
    found = done.json["id"]
    assert godel("proof", "check", found).code == 0
    assert "try = patch" in godel("show", found).out
    assert godel("code", found).out.startswith("searcher {")
    assert godel("verify").code == 0


def test_changed_search_or_searcher_is_told_from_the_ledgers(here: Path) -> None:
    assert godel("evolve", "lamps.godel", "--attempts", 0).code == 0
    text = (here / "lamps.godel").read_text()
    for before, after, hint in (
        ("horizon 9", "horizon 8", "revision"),
        ("try = if step < 2 then", "try = if step < 3 then", "propose"),
        (text[text.index("search {") :], "", "revision"),
    ):
        (here / "other.godel").write_text(text.replace(before, after))
        done = godel("evolve", "other.godel")
        assert done.code == 2 and hint in done.err
    (here / "other.godel").write_text(text.replace("horizon 9", "horizon 8"))
    assert godel("revision", "other.godel").code == 0
    assert godel("evolve", "other.godel").code == 0
    assert godel("verify").code == 0


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("search { switch held }", "no rewrite reaches `search`"),
        (
            "agent { policy { left = true right = true } } searcher { policy { try = stop } }",
            "one block",
        ),
        ("searcher { policy { try = oracle } }", "unknown name oracle"),
    ],
)
def test_patches_that_are_none_are_refused_with_a_message(
    patch: str, message: str, here: Path
) -> None:
    (here / "p").write_text(patch)
    done = godel("propose", "lamps.godel", "p")
    assert done.code == 3 and message in done.err
    assert godel("verify").code == 0


def test_a_machine_without_a_search_gets_one_that_reads_nothing_of_it(here: Path) -> None:
    names = "const tidy = 1 const over = 2 table last: array[1] of int = [0] def following(x: int 0..1): int = x "
    text = "machine lamps " + names + LAMPS.replace("machine lamps", "", 1)
    (here / "plain.godel").write_text(text)
    assert godel("check", "plain.godel").code == 0
    assert godel("--store", "p.db", "evolve", "plain.godel").code == 0
    assert godel("--store", "p.db", "verify").code == 0
    with Store.open(here / "p.db", readonly=True) as store:
        assert Fraction(verify(store).gain) > Fraction(399, 100)


def test_a_world_with_reports_of_its_own_or_equations_for_them_is_refused(here: Path) -> None:
    for law in ("report oracle: int 0..3", "held' = 3", "state held: int 0..3 = 0"):
        with pytest.raises(DslError):
            check_machine(parse_machine(machine("try = stop", law=LAW + law)))


def test_theorem_about_a_searcher_lists_the_law_of_attempts_among_its_assumptions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert godel("evolve", str(ROOT / "examples/self_rewrite.godel"), "--attempts", "3").code == 0
    accepted = [e for e in godel("log", "--json").json["entries"] if e["kind"] == "accepted"]
    by_task = {e["body"]["task"]: godel("proof", "show", e["id"]).out for e in accepted}
    law = "assuming: attempts come out by the declared law of outcome, gain and cost"
    assert law in by_task["searcher"] and law not in by_task["agent"]


def test_default_searcher_is_a_legitimate_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    effort = "searcher { table EFFORT: array[6] of int = [2, 4, 8, 16, 32, 32] }"
    Path("effort.godel").write_text(effort)
    thermostat = str(ROOT / "examples/thermostat.godel")
    done = godel("propose", thermostat, "effort.godel", "--json")
    assert (done.code, done.json["verdict"]) == (0, "accepted")
    assert "[2, 4, 8, 16, 32, 32]" in godel("show", "--searcher").out
    assert godel("verify").code == 0


def test_graph_shows_the_lineage_of_the_searcher_below_that_of_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert godel("evolve", str(ROOT / "examples/self_rewrite.godel"), "--attempts", "4").code == 0
    entries = [e for e in godel("log", "--json").json["entries"] if e["kind"] == "accepted"]
    by_task = {t: [e for e in entries if e["body"]["task"] == t] for t in ("agent", "searcher")}
    graph = godel("log", "--graph", "--json").json
    assert [e["entry"] for e in graph["edges"]] == [e["id"] for e in by_task["agent"]]
    assert [e["entry"] for e in graph["searcher"]["edges"]] == [
        e["id"] for e in by_task["searcher"]
    ]
    assert graph["searcher"]["head"] == by_task["searcher"][-1]["body"]["result"]
    lines = godel("log", "--graph").out.splitlines()
    at = lines.index("the searcher:")
    assert len(lines[:at]) == 1 + len(by_task["agent"])
    assert len(lines[at + 1 :]) == 1 + len(by_task["searcher"])
    assert lines[-1].startswith(f"@ {graph['searcher']['head']}")
