"""Untrusted proposers of rewrites."""
