"""The search that machines get which declare none."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from dsl.parser import parse_blocks
from godel.evolve import SearchFile


@cache
def default_search() -> SearchFile:
    """The blocks of `default_search.godel`."""
    text = files("godel").joinpath("default_search.godel").read_text(encoding="utf-8")
    found = parse_blocks(text)
    if found.search is None or found.searcher is None:
        raise ValueError("the default search lacks a block")
    return SearchFile(found.search, found.searcher, own=False)
