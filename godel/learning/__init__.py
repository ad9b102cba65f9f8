"""Worlds of proof search out of records of attempts, and what a searcher that is rewritten under them saves."""
