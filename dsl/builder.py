"""Build machines, their blocks and their items from what the grammar reads; `terms.py` builds what they hold."""

from __future__ import annotations

from typing import Any

from dsl import syntax as s
from dsl.span import NO_SPAN, Span, span_of_name
from dsl.terms import Parts, TermBuilder, is_token, nodes, over, over_named

_MISNAMED = "main, named"
"""What a policy that is called `main` is called in the tree, which is not handed out."""


class Builder(TermBuilder):
    """Builds one tree; `faults` collects what is wrong on the way."""

    def _refuse_item(self, what: str, parts: Parts) -> None:
        self.refuse(what, over(parts))

    # --- the machine ---

    def build_machine(self, parts: Parts) -> s.Machine:
        name, items = parts[1], parts[2:]
        environment = self._one(s.Environment, "environment", items, name)
        utility = self._one(s.Utility, "utility", items, name)
        agent = self._one(s.Code, "agent", items, name)
        if agent.span is not NO_SPAN:
            self._require_main([slot for slot in agent.slots if isinstance(slot, s.Policy)], agent)
        top = tuple(i for i in items if isinstance(i, s.Enum | s.Const | s.Table | s.Def))
        required = tuple(i for i in items if isinstance(i, s.Always | s.Reach))
        span = over(parts[:2]).to(next((p for p in parts[::-1] if p is not None), name).span)
        declarations = s.Declarations(str(name), top, environment, utility, required, span)
        return s.Machine(declarations, agent, span)

    def _require_main(self, policies: list[s.Policy], agent: s.Code) -> None:
        """An agent has a policy that acts."""
        if any(policy.name in ("main", _MISNAMED) for policy in policies):
            return
        message = "the agent has no `policy` block; it has exactly one without a name"
        hint = "add `policy { … }`"
        if policies:
            message = "the agent has no `policy` without a name, which would be the one that acts"
            if len(policies) == 1:
                hint = f"leave out the name `{policies[0].name}`"
        self.report("G045", message, _head(agent.span, "agent"), hint)

    def _one(self, kind: type[Any], word: str, items: Parts, name: Any) -> Any:
        found = [i for i in items if isinstance(i, kind)]
        for extra in found[1:]:
            message = f"a second `{word}` block; a machine has exactly one"
            self.report("G046", message, _head(extra.span, word))
        if not found:
            message = f"machine `{name}` has no `{word}` block; a machine has exactly one"
            hint = f"add `{word} {{ … }}`"
            self.report("G040", message, name.span, hint)
            return kind((), NO_SPAN)
        return found[0]

    def build_patch(self, parts: Parts) -> s.Code:
        code = parts[0]
        return code if code is not None else s.Code(())

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

    def build_search(self, parts: Parts) -> None:
        self._refuse_item("`search`", parts)

    def build_family(self, parts: Parts) -> None:
        """Part of `search`."""

    build_switch = build_prices = build_world = build_report = build_family

    # --- code ---

    def build_code(self, parts: Parts) -> s.Code | None:
        if parts[0] == "searcher":
            self._refuse_item("`searcher`", parts)
            return None
        slots = nodes(parts)
        self._check_policies([p for p in slots if isinstance(p, s.Policy)])
        return s.Code(slots, over_named(parts, parts[0]))

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
