"""What must hold of a rewrite, how its proof is found, and how it is checked."""
