"""The language of machine files: syntax, meaning and checks. Knows nothing of proofs."""
