"""Rule `best_choice`: what a program does at a moment is worth more than anything else, by brute force and by forgers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from random import Random
from typing import Any

import pytest
from brute_search import Law, Policy, make_law, make_policy, text_of, true_margins

from dsl import syntax as s
from dsl.parser import parse_machine
from dsl.search import search_machine
from godel.gate import Gate
from proofs.certificates import decode_certificate, encode_certificate
from proofs.kernel.certificate import Case, ChoiceCertificate, Cut, Entry, Leaf, Reply, Table
from proofs.kernel.chapter import Chapter
from proofs.kernel.check import IsBestChoice, IsOptimal, check
from proofs.kernel.theorem import BestChoice, CertificateError, Moment
from proofs.prover import Sat, Unsat, prove_all
from proofs.solver import list_premises
from proofs.tactics.bounders import Bounders
from proofs.tactics.choice import find_choice

SEEDS = range(48)
NEAR = Fraction(1, 10**6)
RLIMIT = 20_000_000


class Small:
    """One random search: its chapter, its searcher, and the true margin of every moment."""

    def __init__(self, seed: int) -> None:
        rng = Random(seed)
        self.law, self.policy = make_law(rng), make_policy(rng)
        self.chapter, self.code = made(text_of(self.law, self.policy))
        self.margins = {
            Moment(seen, (memory,), step): margin
            for (step, (seen, memory)), margin in true_margins(self.law, self.policy).items()
        }
        gate = Gate(self.chapter)
        self.proved: dict[Moment, tuple[BestChoice, ChoiceCertificate]] = {}
        for moment in self.margins:
            found = gate.prove_choice(self.code, moment)
            if found is not None:
                statement = found[0].statement
                assert isinstance(statement, BestChoice)
                self.proved[moment] = statement, found[1]

    def check(self, moment: Moment, certificate: Any) -> BestChoice:
        statement = check(IsBestChoice(self.chapter, self.code, moment), certificate).statement
        assert isinstance(statement, BestChoice)
        return statement


def made(text: str) -> tuple[Chapter, s.Code]:
    """The chapter and the code of a machine's search, or of its agent where it has none."""
    machine = parse_machine(text)
    machine = search_machine(machine) or machine
    return Chapter(machine.declarations), machine.agent


@cache
def small(seed: int) -> Small:
    return Small(seed)


@cache
def proved_ones() -> tuple[tuple[Small, Moment, ChoiceCertificate], ...]:
    """Of each search some moments with the certificates found."""
    found: list[tuple[Small, Moment, ChoiceCertificate]] = []
    for seed in SEEDS:
        one = small(seed)
        found += [(one, m, certificate) for m, (_, certificate) in list(one.proved.items())[:2]]
    return tuple(found)


# --- what is claimed is true ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_else_is_done_is_worth_less_by_the_margin_in_every_world(seed: int) -> None:
    """Every margin that is claimed is at most the least over worlds and hidden states, and the best choices are found."""
    one = small(seed)
    for moment, true in one.margins.items():
        if moment not in one.proved:
            assert true <= 0, (moment, true)
            continue
        statement, _ = one.proved[moment]
        assert 0 < statement.margin <= true
        assert (statement.program, statement.declarations) == (
            one.chapter.program(one.code).digest,
            one.chapter.digest,
        )


def test_the_random_searches_have_what_makes_it_hard() -> None:
    ones = [small(seed) for seed in SEEDS if small(seed).proved]
    laws = [one.law for one in ones]
    assert sum(len(one.proved) for one in ones) >= 40
    assert {law.adversary for law in laws} == {"", "odds", "outcome"}
    assert any(law.lucky for law in laws) and any(not law.shows_held for law in laws)
    assert any(law.ends[0] < law.ends[1] for law in laws)
    assert any(0 < law.start < 1 for law in laws)
    assert any(m.memory == (1,) for one in ones for m in one.proved)
    assert any(len(one.proved) < len(one.margins) for one in ones)
    close = [one.margins[m] - x.margin for one in ones for m, (x, _) in one.proved.items()]
    assert sum(gap < NEAR for gap in close) > len(close) * 3 / 4


def test_certificates_are_read_back_as_they_were_written() -> None:
    for one, moment, certificate in proved_ones():
        program = one.chapter.program(one.code)
        data = encode_certificate(certificate, one.chapter.task, program)
        assert decode_certificate(data, one.chapter.task, program) == certificate
        assert one.check(moment, decode_certificate(data, one.chapter.task, program))


@pytest.mark.parametrize("number", range(0, 20, 4))
def test_z3_agrees_with_every_premise_and_denies_a_margin_that_is_too_great(number: int) -> None:
    one, moment, certificate = proved_ones()[number]
    task, program = one.chapter.task, one.chapter.program(one.code)

    def answers(shown: ChoiceCertificate) -> list[Any]:
        premises = list_premises(task, shown, old=None, new=program, moment=moment)
        assert any(p.name.startswith("the choice") for p in premises)
        return prove_all(premises, rlimit=RLIMIT, jobs=2)

    assert all(isinstance(answer, Unsat) for answer in answers(certificate))
    more = replace(certificate, margin=one.margins[moment] + 1)
    assert any(isinstance(answer, Sat) for answer in answers(more))


# --- forgers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [Fraction(0), Fraction(-1), True, 1, 1.0, "1", None])
def test_margins_are_rationals_above_zero(margin: Any) -> None:
    one, moment, certificate = proved_ones()[0]
    with pytest.raises(CertificateError):
        one.check(moment, replace(certificate, margin=margin))


def test_a_greater_margin_than_the_true_one_is_never_shown() -> None:
    for one, moment, certificate in proved_ones():
        with pytest.raises(CertificateError):
            one.check(moment, replace(certificate, margin=one.margins[moment] + Fraction(1, 10**9)))


def test_a_certificate_for_another_moment_shows_nothing_false() -> None:
    """The tables may be as good for another moment; then its margin is at most the true one there."""
    refused = 0
    for one, moment, certificate in proved_ones():
        for other, true in one.margins.items():
            if other == moment:
                continue
            try:
                statement = one.check(other, certificate)
            except CertificateError:
                refused += 1
            else:
                assert statement.moment == other
                assert statement.margin <= true
    assert refused > 100


def test_a_moment_that_never_comes_is_no_moment() -> None:
    for one, moment, certificate in proved_ones():
        horizon = one.law.horizon
        shown = [m for m in one.margins if m.step == moment.step]
        seen = moment.observed
        impossible = replace(moment, observed=(1, *seen[1:-1], 2))
        first = Moment(seen, (1,), 0)
        for forged in (impossible, first, replace(moment, observed=(0, False, *seen[2:-1], 2))):
            if forged in shown or forged in one.margins:
                continue
            with pytest.raises(CertificateError, match="never comes|listed"):
                one.check(forged, certificate)
        for step in (-1, horizon, None, True, False, Fraction(1), "1"):
            with pytest.raises(CertificateError, match="no step"):
                one.check(replace(moment, step=step), certificate)


def test_a_moment_holds_values_of_what_is_observed_and_remembered() -> None:
    one, moment, certificate = proved_ones()[0]
    fails, pending, *rest = moment.observed
    for observed in (
        (bool(fails), pending, *rest),
        (fails, int(pending), *rest),
        (fails, pending),
        [fails, pending, *rest],
        (*moment.observed, 0),
        None,
    ):
        with pytest.raises(CertificateError, match="not observed"):
            one.check(replace(moment, observed=observed), certificate)
    for memory in ((), (2,), (bool(moment.memory[0]),), None):
        with pytest.raises(CertificateError, match="another memory"):
            one.check(replace(moment, memory=memory), certificate)

    class Other(Moment):
        """Another class that looks like one."""

    forged = Other(moment.observed, moment.memory, moment.step)
    with pytest.raises(CertificateError, match="kernel's own"):
        one.check(forged, certificate)


def leaves(certificate: ChoiceCertificate) -> Iterator[Leaf]:
    def below(tree: Any) -> Iterator[Leaf]:
        if isinstance(tree, Cut):
            yield from below(tree.below)
            yield from below(tree.above)
        else:
            yield tree

    for case in certificate.cases:
        yield from below(case.tree)


def changed(certificate: ChoiceCertificate, change: Callable[[Leaf], Leaf]) -> ChoiceCertificate:
    """The certificate with every leaf changed."""

    def inside(tree: Any) -> Any:
        if isinstance(tree, Cut):
            return replace(tree, below=inside(tree.below), above=inside(tree.above))
        return change(tree)

    cases = tuple(Case(case.unknowns, inside(case.tree)) for case in certificate.cases)
    return replace(certificate, cases=cases)


def test_tables_that_change_places_show_nothing() -> None:
    for one, moment, certificate in proved_ones():
        forged = changed(certificate, lambda leaf: replace(leaf, tables=leaf.tables[::-1]))
        with pytest.raises(CertificateError):
            one.check(moment, forged)
        for tables in (lambda t: t[:1], lambda t: (*t, t[0]), lambda t: (), list):
            forged = changed(
                certificate, lambda leaf, f=tables: replace(leaf, tables=f(leaf.tables))
            )  # type: ignore[misc]
            with pytest.raises(CertificateError):
                one.check(moment, forged)


def without(table: Table, drop: Callable[[int, Entry], bool]) -> Table:
    """A table that leaves entries out."""
    layers = enumerate(table.layers)
    return Table(tuple(tuple(e for e in layer if not drop(k, e)) for k, layer in layers))


def test_no_state_may_be_left_out_of_either_table() -> None:
    """Every entry is reached from the starts, or from where the moment may be."""
    tried = 0
    for one, moment, certificate in proved_ones()[::3]:
        for leaf in leaves(certificate):
            for side, table in enumerate(leaf.tables):
                for k, layer in enumerate(table.layers):
                    for entry in layer[:: max(1, len(layer) // 4)]:

                        def change(
                            other: Leaf, side: int = side, k: int = k, entry: Entry = entry
                        ) -> Leaf:
                            tables = list(other.tables)
                            at = entry.state, entry.memory
                            tables[side] = without(
                                tables[side], lambda j, e: j == k and (e.state, e.memory) == at
                            )
                            return replace(other, tables=tuple(tables))

                        with pytest.raises(CertificateError):
                            one.check(moment, changed(certificate, change))
                        tried += 1
    assert tried > 200


def shows(one: Small, moment: Moment, state: Any) -> bool:
    at = dict(zip((v.name for v in one.chapter.task.states), state, strict=True))
    return tuple(at[v.name] for v in one.chapter.task.observed) == moment.observed


def test_a_hidden_state_that_fits_what_is_seen_cannot_be_dropped() -> None:
    """Neither from one table nor from both, with everything that leads to it."""
    dropped = 0
    for one, moment, certificate in proved_ones():
        assert moment.step is not None
        layer = one.law.horizon - 1 - moment.step
        names = [v.name for v in one.chapter.task.states]
        for mood in (0, 1):

            def hidden(k: int, entry: Entry, mood: int = mood) -> bool:
                fits = k > layer or (k == layer and shows(one, moment, entry.state))  # noqa: B023
                return fits and entry.state[names.index("mood")] == mood  # noqa: B023

            for sides in ((0,), (1,), (0, 1)):

                def change(leaf: Leaf, sides: tuple[int, ...] = sides, hidden: Any = hidden) -> Leaf:  # fmt: skip
                    tables = (without(t, hidden) if i in sides else t for i, t in enumerate(leaf.tables))  # fmt: skip
                    return replace(leaf, tables=tuple(tables))

                forged = changed(certificate, change)
                if forged == certificate:
                    continue
                dropped += 1
                with pytest.raises(CertificateError):
                    one.check(moment, forged)
    assert dropped > 50


def test_values_that_are_moved_to_gain_a_margin_are_refused() -> None:
    """L raised or W lowered, everywhere or at one entry."""
    for one, moment, certificate in proved_ones():
        for side, by in ((0, Fraction(1)), (1, Fraction(-1))):

            def change(leaf: Leaf, side: int = side, by: Fraction = by) -> Leaf:
                def moved(table: Table) -> Table:
                    layers = (tuple(replace(e, value=e.value + by) for e in x) for x in table.layers)  # fmt: skip
                    return Table(tuple(layers))

                tables = list(leaf.tables)
                tables[side] = moved(tables[side])
                return replace(leaf, tables=tuple(tables))

            with pytest.raises(CertificateError):
                one.check(moment, changed(certificate, change))


def test_bounds_of_another_program_say_nothing_of_this_one() -> None:
    met = 0
    for one, moment, certificate in proved_ones():
        tries = {key: "patch" for key in one.policy.tries}
        other = Policy(tries, {key: 1 - kept for key, kept in one.policy.keeps.items()})
        (_, code) = made(text_of(one.law, other))
        with pytest.raises(CertificateError):
            check(IsBestChoice(one.chapter, code, moment), certificate)
        met += 1
        with pytest.raises(CertificateError, match="says nothing about"):
            check(IsOptimal(one.chapter, one.code), certificate)
    assert met


def test_replies_must_be_allowed_and_named_for_every_action() -> None:
    met = 0
    for one, moment, certificate in proved_ones():
        if not one.law.adversary:
            continue
        for replies in (
            lambda r: r[:-1],
            lambda r: (),
            lambda r: (*r, r[0]),
            lambda r: tuple(Reply((9,)) for _ in r),
            lambda r: tuple(Reply(x.finite, (Fraction(0),)) for x in r),
        ):

            def change(leaf: Leaf, replies: Any = replies) -> Leaf:
                lower, upper = leaf.tables
                layers = (tuple(replace(e, replies=replies(e.replies)) for e in x) for x in upper.layers)  # fmt: skip
                return replace(leaf, tables=(lower, Table(tuple(layers))))

            with pytest.raises(CertificateError):
                one.check(moment, changed(certificate, change))
            met += 1
    assert met > 20


def test_every_value_of_the_unknowns_needs_its_case() -> None:
    met = 0
    for one, moment, certificate in proved_ones():
        if len(certificate.cases) < 2:
            continue
        first, second = certificate.cases
        twice = replace(second, unknowns=first.unknowns), second
        for cases in ((first,), (second, first), (first, first), (), list(certificate.cases)):
            with pytest.raises(CertificateError, match="one case for each"):
                one.check(moment, replace(certificate, cases=cases))
        try:
            statement = one.check(moment, replace(certificate, cases=twice))
        except CertificateError:
            met += 1
        else:
            assert statement.margin <= one.margins[moment]
    assert met


# --- worlds worked out by hand -------------------------------------------------------------------


def agent(world: str, policy: str, utility: str = "discount 1/2", more: str = "") -> str:
    return f"""machine hand
enum Go {{ take, pass }}
environment {{ {world} action go: Go }}
utility {{ {utility} }}
agent {{ {more} policy {{ {policy} }} }}"""


def choose(text: str, moment: Moment) -> BestChoice | None:
    chapter, code = made(text)
    found = Gate(chapter).prove_choice(code, moment)
    if found is None:
        return None
    statement = found[0].statement
    assert isinstance(statement, BestChoice)
    assert check(IsBestChoice(chapter, code, moment), found[1]).statement == statement
    return statement


HIDDEN = "state shown: bool = true state rich: int 0..1 = any observe shown reward = if go == take then 1 + rich else 0"


def test_under_a_discount_the_margin_is_the_least_over_worlds() -> None:
    """Taking is worth 2 or 4, to pass once 1 or 2: by 1 less where nothing is rich."""
    found = choose(agent(HIDDEN, "go = take"), Moment((True,), (), None))
    assert found is not None
    assert Fraction(1) - NEAR < found.margin <= 1
    assert found.actions == (0,)
    assert choose(agent(HIDDEN, "go = pass"), Moment((True,), (), None)) is None


def test_under_a_discount_no_step_is_named() -> None:
    chapter, code = made(agent(HIDDEN, "go = take"))
    certificate = Gate(chapter).prove_choice(code, Moment((True,), (), None))
    assert certificate is not None
    for step in (0, 3, False):
        with pytest.raises(CertificateError, match="no step"):
            check(IsBestChoice(chapter, code, Moment((True,), (), step)), certificate[1])


def test_ticks_are_paid_by_the_program_alone() -> None:
    """`if` and `not` take two ticks a step, over two steps in the mean, each 1/100; others are not charged."""
    utility = "discount 1/2 tick_price 1/100"
    found = choose(
        agent(HIDDEN, "go = if not shown then pass else take", utility), Moment((True,), (), None)
    )
    assert found is not None
    assert Fraction(24, 25) - NEAR < found.margin <= Fraction(24, 25)
    # where ticks cost as much as the choice brings, nothing is shown
    utility = "discount 1/2 tick_price 1/4"
    text = agent(HIDDEN, "go = if not shown then pass else take", utility)
    assert choose(text, Moment((True,), (), None)) is None


def test_size_plays_no_part() -> None:
    text = agent(HIDDEN, "go = take", "discount 1/2 size_price 100")
    found = choose(text, Moment((True,), (), None))
    assert found is not None
    assert found.margin > Fraction(1) - NEAR


def test_rates_are_answered_by_one_that_is_named() -> None:
    """The adversary takes the rate off either reward: to take is worth 2, to pass once 1."""
    world = "state x: bool = true adversary rate: rat 0..1 reward = if go == take then 1 + rate else rate / 2"
    found = choose(agent(world, "go = take"), Moment((True,), (), None))
    assert found is not None
    assert Fraction(1) - NEAR < found.margin <= 1


def test_assumptions_of_the_unknowns_count() -> None:
    """To take is worth 2 q + 1/2, to pass once p + q + 1/4, so q - p + 1/4 less; p <= q is assumed."""
    world = "state x: bool = true unknown p: rat 0..1 unknown q: rat 0..1 {} reward = if go == take then q + 1/4 else p"
    free = choose(agent(world.format(""), "go = take"), Moment((True,), (), None))
    assert free is None
    found = choose(agent(world.format("assume p <= q"), "go = take"), Moment((True,), (), None))
    assert found is not None
    assert Fraction(1, 4) - NEAR < found.margin <= Fraction(1, 4)


def test_a_margin_in_one_world_only_is_none() -> None:
    """Lucky: to take brings 1 against 1/2; else nothing."""
    world = "state x: bool = true unknown luck: bool reward = if go == take then (if luck then 1 else 0) else 1/2"
    moment = Moment((True,), (), None)
    chapter, code = made(agent(world, "go = take"))
    assert Gate(chapter).prove_choice(code, moment) is None
    one, lucky_code = made(agent(world.replace("unknown luck: bool", "let luck = true"), "go = take"))  # fmt: skip
    program = one.program(lucky_code)
    found = find_choice(one, Bounders(one, program), Bounders(one, None), moment)
    assert found is not None
    (case,) = found.cases
    forged = ChoiceCertificate((Case((False,), case.tree), Case((True,), case.tree)), found.margin)
    with pytest.raises(CertificateError):
        check(IsBestChoice(chapter, code, moment), forged)
    with pytest.raises(CertificateError, match="one case for each"):
        only = ChoiceCertificate((Case((True,), case.tree),), found.margin)
        check(IsBestChoice(chapter, code, moment), only)


def test_where_there_is_but_one_action_nothing_is_chosen() -> None:
    text = """machine alone
environment { state x: bool = true action go: int 0..0 reward = 1 }
utility { discount 1/2 }
agent { policy { go = 0 } }"""
    assert choose(text, Moment((True,), (), None)) is None


def test_a_moment_after_the_end_never_comes() -> None:
    world = "state x: int 0..2 = 0 x' = min(x + 1, 2) done = x == 1 reward = if go == take then 1 else 0"
    text = agent(world, "go = take", "horizon 3")
    found = choose(text, Moment((0,), (), 0))
    assert found is not None and found.margin == 1
    assert choose(text, Moment((1,), (), 1)) is None
    assert choose(text, Moment((0,), (), 1)) is None


def test_with_one_step_to_go_only_its_reward_counts() -> None:
    world = "state x: int 0..2 = 0 x' = if go == take then min(x + 1, 2) else x reward = if go == take then 0 else 1"
    text = agent(world, "go = if x == 2 then take else pass", "horizon 3")
    found = choose(text, Moment((0,), (), 2))
    assert found is not None and found.margin == 1


def test_a_law_shows_its_reports_as_the_brute_force_has_them() -> None:
    """The two agree about which reports there are, and in which order."""
    for seed in SEEDS:
        law: Law = small(seed).law
        names = [v.name for v in small(seed).chapter.task.observed]
        held = ["held"] if law.shows_held else []
        assert names == ["fails_patch", "pending", *held, "applied"]
