"""The machine: gate, search, families, ledger and command line."""
