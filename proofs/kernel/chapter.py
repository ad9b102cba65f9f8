"""One set of declarations as the kernel knows it: checked, proved total, its rows worked out once and kept."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product

from dsl import syntax as s
from dsl.check import check_code, check_declarations
from dsl.codec import CodecError, decode_tree, digest_node, encode_tree
from dsl.machine import ActionTuple, Outcome, Program, StateTuple, Task
from dsl.types import values
from proofs.kernel.theorem import CertificateError
from proofs.kernel.totality import Gap, find_gaps_in_code, find_gaps_in_declarations


class NotTotal(CertificateError):
    """Code or declarations that are not proved total; `gaps` says what is missing."""

    def __init__(self, gaps: list[Gap]) -> None:
        self.gaps = gaps
        super().__init__("; ".join(gap.message for gap in gaps))


def _require_canonical(tree: s.Node) -> None:
    """Raise CertificateError for a tree that its canonical form does not give back, such as one that holds lists."""
    try:
        same = decode_tree(encode_tree(tree), type(tree)) == tree
    except CodecError as error:
        raise CertificateError(f"a tree that is not in canonical form: {error}") from None
    if not same:
        raise CertificateError("a tree that is not in canonical form")


class Chapter:
    """A task made by the kernel itself from declarations, and the programs that act in it.

    Raises DslError where the declarations do not check and NotTotal where they are not proved total. `steps` counts the
    premises that the rules evaluated.
    """

    def __init__(self, declarations: s.Declarations) -> None:
        _require_canonical(declarations)
        self.task: Task = check_declarations(declarations)
        gaps = find_gaps_in_declarations(self.task)
        if gaps:
            raise NotTotal(gaps)
        self.steps = 0
        self.starts = self.task.start_states()
        self._programs: dict[str, Program] = {}
        self._rows: dict[tuple[StateTuple, ActionTuple], tuple[Outcome, ...]] = {}
        self._done: dict[StateTuple, bool] = {}

    @property
    def digest(self) -> str:
        """The digest of the declarations."""
        return self.task.digest

    def program(self, code: s.Code) -> Program:
        """Code checked and proved total; raises DslError or NotTotal."""
        digest = digest_node(code)
        if digest not in self._programs:
            _require_canonical(code)
            program = check_code(self.task, code)
            gaps = find_gaps_in_code(program)
            if gaps:
                raise NotTotal(gaps)
            self._programs[digest] = program
        return self._programs[digest]

    def is_done(self, state: StateTuple) -> bool:
        """Whether the episode has ended in this state."""
        if state not in self._done:
            self._done[state] = self.task.is_done(state)
        return self._done[state]

    def outcomes(self, state: StateTuple, actions: ActionTuple) -> tuple[Outcome, ...]:
        """The draws of one step, by the reference interpreter."""
        key = (state, actions)
        if key not in self._rows:
            self._rows[key] = self.task.outcomes(state, actions)
        return self._rows[key]

    def all_actions(self) -> Iterator[ActionTuple]:
        """Every action there is."""
        return product(*(tuple(values(v.type)) for v in self.task.actions))

    def size_cost(self, program: Program) -> Fraction:
        """What the size of a program costs: U = V - size_cost."""
        return self.task.utility.size_price * program.size
