"""Worlds from outside, written as machine files."""
