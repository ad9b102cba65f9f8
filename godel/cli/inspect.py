"""Verbs that look into a ledger: log, show, diff, cex, code, checkout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import click

from dsl.search import AGENT, SEARCHER
from godel.cli.describe import (
    accepted_claim,
    applied_claim,
    counterexample_lines,
    describe_entry,
    details,
    entry_json,
)
from godel.cli.ledgers import Book, open_book
from godel.cli.options import json_option
from godel.cli.output import (
    Context,
    Exit,
    note,
    print_json,
    say,
    shown_id,
    styled,
    usage,
    write_text,
)
from godel.ledger import Entry, Kind

if TYPE_CHECKING:
    from dsl.syntax import Code

ID_HELP = (
    "An ID is @, the installed program, @-, its parent, or the first 4 or more digits of an id "
    "that `godel log --all` prints."
)
IN_SHORT = (
    *(Kind.GENESIS, Kind.REVISION, Kind.CHECKOUT),
    *(Kind.ACCEPTED, Kind.HELD, Kind.APPLIED, Kind.ENDED),
)
INSTALLED = (Kind.ACCEPTED, Kind.HELD, Kind.APPLIED)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Rejected attempts too.")
@click.option(
    "--graph", is_flag=True, help="Programs and the rewrites that lead from one to the next."
)
@click.option("-n", "count", type=click.IntRange(1), help="Only the last N.")
@json_option
@click.pass_obj
def log(context: Context, everything: bool, graph: bool, count: int | None, as_json: bool) -> None:
    """The history: what was accepted, and how runs ended."""
    if graph:
        with open_book(context) as book:
            _print_graph(book, everything, as_json)
        return
    from godel.store import Store

    with Store.open(context.found_store(), readonly=True) as store:
        wanted = store.count() if count is None else count
        # without --all rejected attempts do not count, so read on until enough is found
        entries = _last(store, wanted, everything)
    if as_json:
        print_json("log", {"entries": [entry_json(e) for e in entries]})
        return
    for entry in entries:
        say(describe_entry(entry))


def _last(store: Any, wanted: int, everything: bool) -> list[Entry]:
    size = wanted if everything else 4 * wanted
    while True:
        found = [e for e in store.last(size) if everything or e.kind in IN_SHORT]
        if len(found) >= wanted or size >= store.count():
            return found[-wanted:]
        size *= 4


def _print_graph(book: Book, everything: bool, as_json: bool) -> None:
    """Lineage of the agent's programs in the present chapter, and of the searcher's where it was rewritten."""
    agent, searcher = (_lineage(book, task, everything) for task in (AGENT, SEARCHER))
    if as_json:
        data = {"searcher": _graph_json(book, SEARCHER, searcher)} if searcher.edges else {}
        print_json("graph", {**_graph_json(book, AGENT, agent), **data})
        return
    _say_lineage(book, AGENT, agent)
    if searcher.edges:
        say("the searcher:")
        _say_lineage(book, SEARCHER, searcher)


def _lineage(book: Book, task: str, everything: bool) -> Any:
    """Programs of a task, and the entries that lead from one to another."""
    import networkx as nx

    graph: Any = nx.DiGraph()
    graph.add_node(book.history.tasks[task].first)
    for entry in book.entries[book.history.chapter_seq + 1 :]:
        parent, result = entry.body.get("parent"), entry.body.get("result")
        if result is None or result == parent or entry.body["task"] != task:
            continue
        if entry.kind is Kind.APPLIED or not (everything or entry.kind in INSTALLED):
            continue
        known = graph.get_edge_data(parent, result)
        if known is None or known["entry"].kind not in INSTALLED:
            graph.add_edge(parent, result, entry=entry)
    return graph


def _graph_json(book: Book, task: str, graph: Any) -> dict[str, Any]:
    lineage = book.history.tasks[task]
    edges = [
        {"parent": a, "result": b, "entry": entry.id, "kind": entry.kind.value}
        for a, b, entry in graph.edges(data="entry")
    ]
    return {"first": lineage.first, "head": lineage.head, "edges": edges}


def _say_lineage(book: Book, task: str, graph: Any) -> None:
    """One line a rewrite, below the one that made its parent."""
    import networkx as nx

    first, head = book.history.tasks[task].first, book.history.tasks[task].head
    line = {first, head} | nx.ancestors(graph, head)
    front = f"{_mark(first, head)} {shown_id(first)} "
    opening = book.entries[book.history.chapter_seq]
    say(front + (_short(opening, len(front)) if task == AGENT else "the chapter's first"))
    seen = {first}
    waiting = _branches(graph, first, line, 0)
    while waiting:
        depth, result, entry = waiting.pop()
        mark = _mark(result, head) if entry.kind in INSTALLED else "x"
        front = f"{'  ' * min(depth, 30)}{mark} {shown_id(result)} "
        say(front + _short(entry, len(front)))
        if result not in seen:
            seen.add(result)
            waiting += _branches(graph, result, line, depth)


def _branches(graph: Any, node: str, line: set[str], depth: int) -> list[tuple[int, str, Entry]]:
    """The rewrites of a program, the one to print first last; the one that leads to the head is not indented."""
    found = [(result, entry) for _, result, entry in graph.out_edges(node, data="entry")]
    found.sort(key=lambda f: (f[0] not in line or f[1].kind not in INSTALLED, -f[1].seq))
    return [(depth + (i > 0), result, entry) for i, (result, entry) in enumerate(found)]


def _mark(program: str, head: str) -> str:
    return "@" if program == head else "*"


def _short(entry: Entry, taken: int) -> str:
    return describe_entry(entry, taken=taken).splitlines()[0].strip()


@click.command(epilog=ID_HELP)
@click.argument("name", metavar="[ID]", required=False)
@click.option("--searcher", is_flag=True, help="Print the installed searcher instead.")
@click.option(
    "--search-world", is_flag=True, help="Print the declared search as a machine instead."
)
@json_option
@click.pass_obj
def show(
    context: Context, name: str | None, searcher: bool, search_world: bool, as_json: bool
) -> None:
    """Everything about one entry, `@` where none is named: claim, edits as a diff, evidence, costs."""
    if (searcher and search_world) or (name is not None and (searcher or search_world)):
        hint = "godel code ID prints the program of an entry"
        raise usage("show prints an entry, the installed searcher, or the search world", hint)
    with open_book(context) as book:
        if searcher or search_world:
            _show_search(book, searcher, as_json)
            return
        entry = book.find("@" if name is None else name)
        if as_json:
            print_json("entry", entry_json(entry))
            return
        say(describe_entry(entry))
        for line in _fields(book, entry):
            say(f"  {line}")


def _show_search(book: Book, searcher: bool, as_json: bool) -> None:
    """The searcher's code, or the whole search as a machine."""
    from dsl.codec import digest_node, encode_node
    from dsl.printer import print_code, print_machine
    from dsl.syntax import Machine

    history = book.history
    code = history.load_code(history.tasks[SEARCHER].head)
    machine = Machine(history.search.task.declarations, code)
    part = code if searcher else machine
    if as_json:
        schema = "searcher" if searcher else "search-world"
        print_json(schema, {"digest": digest_node(part), "code": encode_node(part)})
    else:
        say((print_code(code, SEARCHER) if searcher else print_machine(machine)).rstrip())


def _fields(book: Book, entry: Entry) -> list[str]:
    body = cast(Any, entry.body)
    lines = [f"id        {entry.id}", f"previous  {entry.previous}"]
    names = {"parent": "parent", "result": "result", "code": "program", "declarations": "declares"}
    lines += [f"{title:<10}{body[key]}" for key, title in names.items() if body.get(key)]
    claim = body.get("claim")
    if entry.kind in (Kind.ACCEPTED, Kind.HELD):
        lines.append(f"claim     {accepted_claim(claim)}")
        lines.append(f"gain      {claim['gain']}, by the criterion {claim['criterion']}")
    if entry.kind is Kind.APPLIED and claim is not None:
        lines += applied_claim(body)
    for kept in body.get("requirements", ()):
        lines.append(f"keeps     {kept['name']}, certificate {kept['certificate']}")
    if body.get("certificate"):
        rule = "best choice" if entry.kind is Kind.APPLIED else body.get("rule", "optimal")
        lines.append(f"evidence  rule {rule}, certificate {body['certificate']}")
    lines += details(entry)
    if body.get("result"):
        lines.append("change")
        word = body["task"]
        lines += [
            f"  {line}" for line in _diff(book.parent_of(entry), book.program_of(entry), word)
        ]
    return lines


@click.command(epilog=ID_HELP)
@click.argument("first", metavar="A")
@click.argument("second", metavar="[B]", required=False)
@json_option
@click.pass_obj
def diff(context: Context, first: str, second: str | None, as_json: bool) -> None:
    """How the code of A differs from that of B; without B, how A differs from its parent."""
    with open_book(context) as book:
        if second is None:
            entry = book.find(first)
            before, after = book.parent_of(entry), book.program_of(entry)
        else:
            before, after = book.program(first), book.program(second)
        if as_json:
            from dsl.rewrite import RewriteError, derive_edits, encode_edits

            try:
                edits = encode_edits(derive_edits(before[1], after[1]))
            except RewriteError as error:
                raise usage(f"no edits lead from one to the other: {error}") from None
            print_json("diff", {"before": before[0], "after": after[0], "edits": edits})
            return
        lines = _diff(before, after, book.task_of(after[0]))
        for line in lines:
            colour = {"+": "green", "-": "red"}.get(line[:1])
            say(styled(line, fg=colour) if colour else line)
        if not lines:
            note("the programs are the same")


def _diff(before: tuple[str, Code], after: tuple[str, Code], word: str) -> list[str]:
    from difflib import unified_diff

    from dsl.printer import print_code

    names = (shown_id(before[0]), shown_id(after[0]))
    old, new = (print_code(code, word).splitlines() for _, code in (before, after))
    return list(unified_diff(old, new, *names, lineterm="", n=2))


@click.command(epilog=ID_HELP)
@click.argument("name", metavar="ID")
@json_option
@click.pass_obj
def cex(context: Context, name: str, as_json: bool) -> None:
    """The counterexample of a refused or invalid attempt, replayed by the interpreter: old and new side by side."""
    with open_book(context) as book:
        entry = book.find(name)
        body = cast(Any, entry.body)
        if entry.kind is Kind.INVALID:
            _print_invalid(entry, as_json)
            return
        if "counterexample" not in body:
            raise usage(
                f"entry {shown_id(entry.id)} is {entry.kind.value}; only refused and invalid attempts have one"
            )
        replayed = _replay(book, entry)
        if replayed != body["counterexample"]:
            note("error: the interpreter does not reproduce the counterexample of the ledger")
            raise Exit(30)
        if as_json:
            print_json("cex", {"id": entry.id, "claim": body["claim"], "counterexample": replayed})
            return
        say(describe_entry(entry))
        for line in counterexample_lines(body):
            say(f"  {line}")


def _replay(book: Book, entry: Entry) -> Any:
    from proofs.certificates import decode_certificate
    from proofs.counterexample import counterexample_of, encode_counterexample

    chapter, body = book.chapter_of(entry), cast(Any, entry.body)
    old, new = (chapter.program(c) for _, c in (book.parent_of(entry), book.program_of(entry)))
    certificate = decode_certificate(book.store.blob(body["certificate"]), chapter.task, new, old)
    return encode_counterexample(counterexample_of(chapter, old, new, certificate), chapter.task)


def _print_invalid(entry: Entry, as_json: bool) -> None:
    body = cast(Any, entry.body)
    if as_json:
        print_json(
            "cex", {"id": entry.id, "reason": body["reason"], "diagnostics": body["diagnostics"]}
        )
        return
    say(describe_entry(entry))
    for line in details(entry):
        say(f"  {line}")


@click.command(epilog=ID_HELP)
@click.argument("name", metavar="[ID]", default="@")
@click.option("--number", is_flag=True, help="Print its Gödel number.")
@click.option("--digest", is_flag=True, help="Print its digest.")
@json_option
@click.pass_obj
def code(context: Context, name: str, number: bool, digest: bool, as_json: bool) -> None:
    """The code of a program: as text, as canonical JSON with positions, or as its Gödel number."""
    from dsl.codec import encode_node, number_of

    with open_book(context) as book:
        found, tree = book.program(name)
        if as_json:
            data: dict[str, Any] = {"digest": found}
            if number:
                data["number"] = str(number_of(tree))
            if not number and not digest:
                data |= {"code": encode_node(tree), "positions": _positions(tree)}
            print_json("code", data)
        elif number:
            say(str(number_of(tree)))
        elif digest:
            say(found)
        else:
            from dsl.printer import print_code

            say(print_code(tree, book.task_of(found)).rstrip())


def _positions(tree: Code) -> dict[str, Any]:
    """By slot, every position with the kind of node that stands there."""
    from dsl.codec import tag_of
    from dsl.syntax import positions

    return {
        slot.name: {json.dumps(list(p)): tag_of(node) for p, node in positions(slot)}
        for slot in tree.slots
    }


@click.command(epilog=ID_HELP)
@click.argument("name", metavar="ID")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write a complete machine file instead of changing the ledger.",
)
@json_option
@click.pass_obj
def checkout(context: Context, name: str, output: str | None, as_json: bool) -> None:
    """Make the program of ID the installed one (an entry of the ledger), or write it as a complete file."""
    if output is not None:
        with open_book(context) as book:
            text = _complete_file(book, name)
        if output == "-":
            click.echo(text, nl=False)
        else:
            write_text(output, text)
            if as_json:
                print_json("written", {"file": output})
            else:
                say(f"wrote {output}")
        return
    from godel.evolve import check_out
    from godel.gate import NotKept
    from godel.store import Store

    context.used = context.found_store()
    with Store.open(context.used) as store:
        book = Book(store)
        found, tree = book.program(name)
        task = book.task_of(found)
        lineage = book.history.tasks[task]
        if found not in lineage.ways:
            raise usage(
                "that program was never installed in this chapter",
                "godel log lists those that were",
            )
        if found == lineage.head:
            raise usage("that program is installed already")
        try:
            chapter = book.chapter_of(book.entries[-1], task)
            entry = check_out(store, book.history, chapter, tree, task)
        except NotKept as error:
            raise usage(
                f"it is not proved to keep a requirement: {error}",
                "every installed program but the first keeps all of them",
            ) from None
    if as_json:
        print_json("entry", entry_json(entry))
    else:
        say(describe_entry(entry))


def _complete_file(book: Book, name: str) -> str:
    """The chapter's file with the code of a program in it; comments outside the changed slots stay.

    The source is only text that the ledger keeps: where it does not say what the declarations and the code say that were
    proved about, the file is printed from these.
    """
    from dsl.codec import digest_node
    from dsl.errors import DslError
    from dsl.parser import parse_machine
    from dsl.printer import print_machine
    from dsl.splice import splice_code
    from dsl.syntax import Machine

    digest, code = book.program(name)
    declarations, source = book.declarations_of(digest), book.source_of(digest)
    agent, search, searcher = book.blocks_with(digest, code)
    wanted = Machine(declarations, agent, search, searcher)
    try:
        text = splice_code(source, agent)
        if searcher is not None:
            text = splice_code(text, searcher, SEARCHER)
        if digest_node(parse_machine(text)) == digest_node(wanted):
            return text
    except DslError:
        pass
    note(
        "the source in the ledger differs from what was proved about; printed without its comments"
    )
    return print_machine(wanted)
