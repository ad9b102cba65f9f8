"""Untrusted finders of certificates."""
