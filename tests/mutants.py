"""Certificates with one thing changed: numbers, items dropped, doubled or exchanged, another world or reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any

from dsl.polynomial import Polynomial

Path = tuple[Any, ...]
"""Field names and indices that lead to a part."""


def parts(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every part of a certificate that can be changed, outermost first."""
    yield path, node
    if isinstance(node, Polynomial):
        return
    if is_dataclass(node) and not isinstance(node, type):
        for f in fields(node):
            yield from parts(getattr(node, f.name), (*path, f.name))
    elif isinstance(node, tuple):
        for i, item in enumerate(node):
            yield from parts(item, (*path, i))


def put(node: Any, path: Path, value: Any) -> Any:
    """The certificate with another part in one place."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return (*node[:head], put(node[head], rest, value), *node[head + 1 :])
    return replace(node, **{head: put(getattr(node, head), rest, value)})


def mutate(rng: Random, certificate: Any) -> Any:
    """One random change; the same certificate where it comes to nothing."""
    found = [(p, x) for p, x in parts(certificate) if p]
    weights = [_weight(p, x) for p, x in found]
    path, part = rng.choices(found, weights)[0]
    return put(certificate, path, _changed(rng, part, found))


def _weight(path: Path, part: Any) -> float:
    """Numbers near the top, such as a gain, are tried more often than single entries of tables."""
    if isinstance(part, bool) or part is None or isinstance(part, str):
        return 0.05
    return 1 / len(path) ** 2 if isinstance(part, Fraction) else 0.5 / len(path) ** 2


def _changed(rng: Random, part: Any, found: list[tuple[Path, Any]]) -> Any:
    match part:
        case bool():
            return not part
        case int():
            return part + rng.choice([-1, 1])
        case Fraction() | Polynomial():
            step = Fraction(rng.choice([-1, 1]), rng.choice([1, 10, 10**3, 10**6, 10**9, 10**12]))
            scaled = part * rng.choice([Fraction(0), Fraction(-1), Fraction(2), Fraction(1, 2)])
            return part + step if rng.random() < 0.8 else scaled
        case tuple() if part:
            i, j = rng.randrange(len(part)), rng.randrange(len(part))
            form = rng.randrange(3)
            if form == 0:
                return (*part[:i], *part[i + 1 :])
            if form == 1:
                return (*part, part[i])
            swapped = list(part)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            return tuple(swapped)
        case _:
            same = [x for _, x in found if type(x) is type(part)]
            return rng.choice(same)
