"""The command line: one module for each group of verbs, loaded when a verb of it is called."""
