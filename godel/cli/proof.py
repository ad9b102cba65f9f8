"""Verbs for proofs: proof show, proof check, verify."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import click

from dsl.search import SEARCHER
from godel.cli.inspect import ID_HELP
from godel.cli.ledgers import Book, open_book
from godel.cli.options import json_option
from godel.cli.output import (
    Context,
    Exit,
    below,
    note,
    print_json,
    progress_bar,
    read_bytes,
    say,
    shown_id,
    usage,
)
from godel.ledger import Entry, Kind, LedgerError

if TYPE_CHECKING:
    from godel.prooffile import ProofFile

require_option = click.option(
    "--require",
    "requirement",
    metavar="NAME",
    help="The proof that the entry's program keeps this requirement.",
)


@click.group(name="proof")
def proof_group() -> None:
    """Read proofs and check them again."""


@proof_group.command(name="show", epilog=ID_HELP)
@click.argument("name", metavar="ID")
@click.option(
    "--smt2", is_flag=True, help="Print the premises as SMT-LIB 2 text, as Z3 reads them."
)
@click.option("--premise", type=click.IntRange(1), help="With --smt2: only premise N.")
@click.option(
    "--depth",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="0 the claim, 1 the premises, 2 every state.",
)
@require_option
@json_option
@click.pass_obj
def show(
    context: Context,
    name: str,
    smt2: bool,
    premise: int | None,
    depth: int,
    requirement: str | None,
    as_json: bool,
) -> None:
    """The proof of an entry: what is claimed, by which rule, from which premises.

    `--json` prints a file that can be checked alone, by `godel proof check FILE`.
    """
    from godel.prooffile import describe_proof, encode_proof, proof_premises

    with open_book(context) as book:
        proof = _proof_of(book, name, requirement)
    if smt2:
        texts = [p.text for p in proof_premises(proof)]
        if premise is not None and premise > len(texts):
            raise usage(f"there are {len(texts)} premises")
        texts = texts if premise is None else [texts[premise - 1]]
        if as_json:
            print_json("premises", {"premises": texts})
        else:
            # a solver reads them one after another, each in a fresh state
            click.echo("\n(reset)\n".join(texts), nl=False)
    elif as_json:
        click.echo(encode_proof(proof).decode())
    else:
        for line in describe_proof(proof, depth, shown_id):
            say(line)


def _proof_of(book: Book, name: str, requirement: str | None) -> ProofFile:
    """The proof of an entry: of its claim, or that its program keeps a requirement."""
    from godel.prooffile import ProofFile

    entry = book.find(name)
    body = cast(Any, entry.body)
    certificate, old = body.get("certificate"), body.get("parent")
    if requirement is not None:
        kept = {k["name"]: k["certificate"] for k in body.get("requirements", ())}
        if requirement not in kept:
            listed = f"it proves {', '.join(kept)}" if kept else "it proves none"
            raise usage(
                f"entry {shown_id(entry.id)} does not prove the requirement {requirement}", listed
            )
        certificate, old = kept[requirement], None
    elif not certificate:
        links = body.get("links") if entry.kind is Kind.APPLIED else 0
        hint = f"it rests on the {links} held before it" if links else None
        raise usage(f"entry {shown_id(entry.id)} is {entry.kind.value} and holds no proof", hint)
    elif entry.kind is Kind.APPLIED:
        claim, blob = body["claim"], book.store.blob
        return ProofFile.from_blobs(
            book.chapter_of(entry, SEARCHER),
            old=None,
            new=blob(claim["program"]),
            requirement=None,
            certificate=blob(certificate),
            moment={key: claim[key] for key in ("observed", "memory", "step")},
        )
    elif entry.kind is not Kind.ENDED:
        requirement = body["claim"].get("requirement")
        old = old if requirement is None else None
    blob = book.store.blob
    return ProofFile.from_blobs(
        book.chapter_of(entry),
        old=None if old is None else blob(old),
        new=blob(body["result"] if body.get("result") else body["code"]),
        requirement=requirement,
        certificate=blob(certificate),
    )


@proof_group.command(name="check", epilog=ID_HELP)
@click.argument("name", metavar="ID|FILE")
@require_option
@json_option
@click.pass_obj
def check(context: Context, name: str, requirement: str | None, as_json: bool) -> None:
    """Check one proof with the kernel alone: that of a ledger entry, or of a FILE made by `proof show --json`."""
    from pathlib import Path

    from dsl.codec import CodecError
    from dsl.errors import DslError
    from godel.claims import encode_claim
    from godel.prooffile import (
        check_proof,
        decode_proof,
        describe_theorem,
        in_words,
        is_proof_file,
    )
    from proofs.kernel.theorem import CertificateError

    stated: Any = None
    proof: ProofFile | None = None
    try:
        if Path(name).is_file():
            data = read_bytes(name).strip()
            if not is_proof_file(data):
                made = "godel proof show ID --json > FILE makes one"
                raise usage(f"{name} is no proof file", made)
            proof = decode_proof(data)
        elif name.strip("-") != "@" and not set(name) <= set("0123456789abcdefABCDEF"):
            raise usage(f"there is no file {name}, and it is no id")
        else:
            with open_book(context) as book:
                proof = _proof_of(book, name, requirement)
                body = book.find(name).body
                if requirement is None:
                    stated = body.get("claim") or body.get("optimality")
        theorem = check_proof(proof)
        claim = cast(Any, encode_claim(theorem, proof.chapter.task, proof.programs[1]))
        if stated is not None and proof.moment is not None:
            # what the links gain is theirs to show
            stated = {key: value for key, value in stated.items() if key != "gain"}
        if stated is not None and claim != stated:
            raise CertificateError("its theorem is not what the entry claims")
    except (CertificateError, CodecError, DslError) as error:
        if as_json:
            print_json("proof-check", {"holds": False, "reason": str(error)})
        reason = str(error) if proof is None else in_words(str(error), proof)
        note(f"the proof does not hold: {reason}")
        raise Exit(30) from None
    if as_json:
        names = ("declarations", "old", "new", "program")
        about = {n: getattr(theorem.statement, n) for n in names if hasattr(theorem.statement, n)}
        print_json("proof-check", {"holds": True, **about, "claim": claim})
    else:
        memories = proof.programs[1].memories
        for line in describe_theorem(theorem.statement, proof.chapter.task, shown_id, memories):
            say(line)


@click.command()
@click.option("--strict", is_flag=True, help="Fail on anything that rests on a solver alone.")
@click.option(
    "--head",
    metavar="ID",
    help="The id that the last entry must have; a prefix of at least 8 digits serves.",
)
@json_option
@click.pass_obj
def verify(context: Context, strict: bool, head: str | None, as_json: bool) -> None:
    """Check the whole ledger again from genesis, without a solver."""
    from godel.store import Store
    from godel.verify import verify as verify_store

    path = context.found_store()
    if not path.exists():
        raise usage(f"there is no ledger at {path}", "godel evolve FILE makes one")
    if head is not None and not re.fullmatch("[0-9a-fA-F]{8,64}", head):
        raise usage(f"{head} is no id to pin: at least 8 hexadecimal digits are needed")
    try:
        with Store.open(path, readonly=True) as store:
            store.verify()
            total = store.count()
            with progress_bar("verifying", total) if total >= 50 else nullcontext() as progress:
                found = verify_store(store, _watch(progress))
        if head is not None and not found.head.startswith(head.lower()):
            raise LedgerError(
                f"the head is {found.head}, not {head}: entries are missing or were added",
                seq=found.entries - 1,
            )
        if strict and found.solver_trusted:
            raise LedgerError(
                f"{found.solver_trusted} theorems rest on a solver alone", seq=found.entries - 1
            )
    except LedgerError as error:
        if as_json:
            print_json("verify", {"holds": False, "reason": str(error), "seq": error.seq})
        note(f"verification failed: {error}")
        raise Exit(30) from None
    if as_json:
        print_json(
            "verify",
            {
                "holds": True,
                "entries": found.entries,
                "theorems": found.theorems,
                "solver_trusted": found.solver_trusted,
                "skipped": 0,
                "disagreements": found.disagreements,
                "gain": found.gain,
                "program": found.program,
                "head": found.head,
                "head_pinned": head is not None,
            },
        )
        return
    n = found.theorems
    say(
        f"checked {n}/{n} theorems, {found.solver_trusted} solver-trusted, 0 skipped, head {found.head}"
    )
    say(
        f"{found.entries} entries; program {found.program}; "
        f"gained since the chapter began at least {below(Fraction(found.gain))}"
    )
    if found.disagreements:
        say(
            f"{found.disagreements} attempts on which Z3 and the kernel disagreed; nothing was accepted there"
        )
    if head is None:
        say("head not pinned: a cut tail cannot be seen from inside the file; --head ID pins it")


def _watch(progress: Callable[[int], None] | None) -> Callable[[Entry], None]:
    return lambda entry: progress(entry.seq + 1) if progress else None
