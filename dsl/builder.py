"""Build machines, their blocks and their items from what the grammar reads; `terms.py` builds what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dsl import syntax as s
from dsl.span import NO_SPAN, Span, span_of_name
from dsl.terms import Parts, TermBuilder, is_token, nodes, over, over_named

_MISNAMED = "main, named"
"""What a policy that is called `main` is called in the tree, which is not handed out."""


@dataclass(frozen=True, slots=True)
class Block:
    """Code with the word that its block begins with: whose it is."""

    word: str
    code: s.Code

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.code.span


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a file without a machine holds: code of the agent, of the searcher, a search."""

    agent: s.Code | None
    searcher: s.Code | None
    search: s.Search | None


class Builder(TermBuilder):
    """Builds one tree; `faults` collects what is wrong on the way."""

    # --- the machine ---

    def build_machine(self, parts: Parts) -> s.Machine:
        name, items = parts[1], parts[2:]
        environment = self._one(s.Environment, "environment", items, name)
        utility = self._one(s.Utility, "utility", items, name)
        agent = self._code("agent", items)
        if agent is None:
            self._missing("agent", name)
            agent = s.Code((), NO_SPAN)
        else:
            self._require_main(agent, "agent")
        search = next((i for i in items if isinstance(i, s.Search)), None)
        searcher = self._code("searcher", items)
        if search is not None:
            self._one(s.Search, "search", items, name)
        if (search is None) != (searcher is None):
            there, gone = ("search", "searcher") if searcher is None else ("searcher", "search")
            message = (
                f"machine `{name}` has a `{there}` block and no `{gone}`; the two come together"
            )
            self.report("G040", message, name.span, f"add `{gone} {{ … }}`")
        elif searcher is not None:
            self._require_main(searcher, "searcher")
        top = tuple(i for i in items if isinstance(i, s.Enum | s.Const | s.Table | s.Def))
        required = tuple(i for i in items if isinstance(i, s.Always | s.Reach))
        span = over(parts[:2]).to(next((p for p in parts[::-1] if p is not None), name).span)
        declarations = s.Declarations(str(name), top, environment, utility, required, span)
        return s.Machine(declarations, agent, search, searcher, span)

    def _code(self, word: str, items: Parts) -> s.Code | None:
        """The only block of code that begins with a word, or None."""
        found = [i.code for i in items if isinstance(i, Block) and i.word == word]
        for extra in found[1:]:
            message = f"a second `{word}` block; a machine has exactly one"
            self.report("G046", message, _head(extra.span, word))
        return found[0] if found else None

    def _require_main(self, code: s.Code, word: str) -> None:
        """Code has a policy that acts."""
        policies = [slot for slot in code.slots if isinstance(slot, s.Policy)]
        if any(policy.name in ("main", _MISNAMED) for policy in policies):
            return
        message = f"the {word} has no `policy` block; it has exactly one without a name"
        hint = "add `policy { … }`"
        if policies:
            message = f"the {word} has no `policy` without a name, which would be the one that acts"
            if len(policies) == 1:
                hint = f"leave out the name `{policies[0].name}`"
        self.report("G045", message, _head(code.span, word), hint)

    def _one(self, kind: type[Any], word: str, items: Parts, name: Any) -> Any:
        found = [i for i in items if isinstance(i, kind)]
        for extra in found[1:]:
            message = f"a second `{word}` block; a machine has exactly one"
            self.report("G046", message, _head(extra.span, word))
        if not found:
            self._missing(word, name)
            return kind((), NO_SPAN)
        return found[0]

    def _missing(self, word: str, name: Any) -> None:
        message = f"machine `{name}` has no `{word}` block; a machine has exactly one"
        self.report("G040", message, name.span, f"add `{word} {{ … }}`")

    def build_patch(self, parts: Parts) -> Blocks:
        searches = [p for p in parts if isinstance(p, s.Search)]
        for extra in searches[1:]:
            self.report("G046", "a second `search` block", _head(extra.span, "search"))
        codes = {word: self._code(word, parts) for word in ("agent", "searcher")}
        return Blocks(codes["agent"], codes["searcher"], searches[0] if searches else None)

    def build_expression(self, parts: Parts) -> s.Expr:
        return parts[0]  # type: ignore[no-any-return]

    def build_enum(self, parts: Parts) -> s.Enum:
        names = [p for p in parts if is_token(p, "NAME")]
        self.declared.update(names)
        return s.Enum(str(names[0]), tuple(str(n) for n in names[1:]), over_named(parts, *names))

    def build_const(self, parts: Parts) -> s.Const:
        self.declared.add(parts[1])
        return s.Const(str(parts[1]), parts[3], over_named(parts, parts[1]))

    def build_table(self, parts: Parts) -> s.Table:
        return s.Table(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_def(self, parts: Parts) -> s.Def:
        parameters = tuple(p for p in parts if isinstance(p, s.Parameter))
        span = over_named(parts, parts[1])
        return s.Def(str(parts[1]), parameters, parts[-3], parts[-1], span)

    def build_parameter(self, parts: Parts) -> s.Parameter:
        return s.Parameter(str(parts[0]), parts[2], over_named(parts, parts[0]))

    # --- what is declared ---

    def build_environment(self, parts: Parts) -> s.Environment:
        return s.Environment(nodes(parts), over_named(parts, parts[0]))

    def build_state(self, parts: Parts) -> s.State:
        return s.State(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_any(self, parts: Parts) -> s.AnyStart:
        where = parts[2] if len(parts) > 1 else None
        return s.AnyStart(where, over_named(parts, parts[0]))

    def build_unknown(self, parts: Parts) -> s.Unknown:
        return s.Unknown(str(parts[1]), parts[3], over_named(parts, parts[1]))

    def build_assume(self, parts: Parts) -> s.Assume:
        return s.Assume(parts[1], over_named(parts, parts[0]))

    def build_observe(self, parts: Parts) -> s.Observe:
        names = [p for p in parts if is_token(p, "NAME")]
        return s.Observe(tuple(str(n) for n in names), over_named(parts, *names, parts[0]))

    def build_action(self, parts: Parts) -> s.Action:
        return s.Action(str(parts[1]), parts[3], over_named(parts, parts[1]))

    def build_adversary(self, parts: Parts) -> s.Adversary:
        where = parts[5] if len(parts) > 4 else None
        return s.Adversary(str(parts[1]), parts[3], where, over_named(parts, parts[1]))

    def build_chance(self, parts: Parts) -> s.Chance:
        return s.Chance(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_define(self, parts: Parts) -> s.Define:
        return s.Define(str(parts[1]), parts[3], over_named(parts, parts[1]))

    def build_next(self, parts: Parts) -> s.Next:
        return s.Next(str(parts[0])[:-1], parts[2], over_named(parts, parts[0]))

    def build_reward(self, parts: Parts) -> s.Reward:
        return s.Reward(parts[2], over_named(parts, parts[0]))

    def build_done(self, parts: Parts) -> s.Done:
        return s.Done(parts[2], over_named(parts, parts[0]))

    def build_utility(self, parts: Parts) -> s.Utility:
        return s.Utility(nodes(parts), over_named(parts, parts[0]))

    def build_setting(self, parts: Parts) -> s.Setting:
        return s.Setting(str(parts[0]), parts[1], over_named(parts, parts[0]))

    def build_costs(self, parts: Parts) -> s.Costs:
        word = parts[0]
        if word != "costs":
            message = f"`{word}` takes a value, no braces"
            self.report(
                "G001", message, word.span, 'braces follow `costs` alone: `costs { "*": 3 }`'
            )
        entries = tuple(
            s.Cost(str(p)[1:-1], parts[i + 2], over_named(parts[i : i + 3], p))
            for i, p in enumerate(parts)
            if is_token(p, "STRING")
        )
        return s.Costs(entries, over_named(parts, word))

    def build_require(self, parts: Parts) -> s.Requirement:
        name = parts[1]
        if is_token(parts[3], "ALWAYS"):
            return s.Always(str(name), parts[4], over_named(parts, name))
        steps, goal, source, policy = (parts[i] for i in (4, 6, 8, 10))
        span = over_named(parts, name, policy)
        return s.Reach(str(name), steps, goal, source, str(policy), span)

    # --- the search ---

    def build_search(self, parts: Parts) -> s.Search:
        return s.Search(nodes(parts), over_named(parts, parts[0]))

    def build_family(self, parts: Parts) -> s.Family:
        options = tuple(p for p in parts if isinstance(p, s.Option))
        span = over_named(parts, parts[1], parts[3])
        return s.Family(str(parts[1]), str(parts[3]), options, span)

    def build_option(self, parts: Parts) -> s.Option:
        value = parts[2]
        if is_token(value, "STRING"):
            value = s.Text(str(value)[1:-1], value.span)
        elif not isinstance(value, s.Node):
            value = s.Target(str(value), value.span)
        return s.Option(str(parts[0]), value, over_named(parts, parts[0]))

    def build_switch(self, parts: Parts) -> s.Switch:
        return s.Switch(str(parts[1]), over_named(parts, parts[1]))

    def build_prices(self, parts: Parts) -> s.Prices:
        return s.Prices(nodes(parts), over_named(parts, parts[0]))

    def build_price(self, parts: Parts) -> s.Price:
        return s.Price(str(parts[0]), parts[2], over_named(parts, parts[0]))

    def build_world(self, parts: Parts) -> s.SearchWorld:
        return s.SearchWorld(nodes(parts), over_named(parts, parts[0]))

    def build_report(self, parts: Parts) -> s.Report:
        return s.Report(str(parts[1]), parts[3], over_named(parts, parts[1]))

    # --- code ---

    def build_code(self, parts: Parts) -> Block:
        slots = nodes(parts)
        self._check_policies([p for p in slots if isinstance(p, s.Policy)])
        return Block(str(parts[0]), s.Code(slots, over_named(parts, parts[0])))

    def _check_policies(self, policies: list[s.Policy]) -> None:
        met: set[str] = set()
        for policy in policies:
            where = span_of_name(policy.span)
            if policy.name in met:
                message = f"a second policy `{policy.name}`"
                if policy.name == "main":
                    message = "a second `policy` without a name; an agent has exactly one"
                self.report("G045", message, where)
            met.add(policy.name)

    def build_memory(self, parts: Parts) -> s.Memory:
        return s.Memory(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_param(self, parts: Parts) -> s.Param:
        return s.Param(str(parts[1]), parts[3], parts[5], over_named(parts, parts[1]))

    def build_policy(self, parts: Parts) -> s.Policy:
        if not is_token(parts[1], "NAME"):
            return s.Policy("main", nodes(parts), over_named(parts, parts[0]))
        name = str(parts[1])
        if name == "main":
            message = "a policy that is called `main`; the one without a name is `main` already"
            self.report("G045", message, parts[1].span, "leave the name out, or choose another")
            name = _MISNAMED
        return s.Policy(name, nodes(parts), over_named(parts, parts[1]))

    def build_assign(self, parts: Parts) -> s.Assign:
        return s.Assign(str(parts[0]), parts[2], over_named(parts, parts[0]))

    build_keep = build_next


def _head(span: Span, word: str) -> Span:
    """The keyword that a block begins with."""
    end = span.column + len(word)
    return Span(span.line, span.column, span.line, end, span.start, span.start + len(word))
