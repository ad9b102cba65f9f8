"""The trusted part of the prover: obligations, certificates and their check, using no solver."""
