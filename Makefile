# `make` lists the targets. Everything runs in .venv, which `make setup` (or any target that needs it) builds once.

.DEFAULT_GOAL := help
.PHONY: help setup demo lint test check bench golden

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTHON := $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv with everything that development needs
	@:

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "Python 3.11 or newer is needed; '$(PYTHON)' is not ($$($(PYTHON) --version 2>/dev/null || true))." \
	       "Name another with: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "building $(VENV) (once)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP) ## watch a machine rewrite itself, with every step proved
	@$(BIN)/python examples/demo.py

lint: $(STAMP) ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@out=$$($(BIN)/lint-imports --no-logo 2>&1) && echo "Import contracts kept" || { echo "$$out"; exit 1; }

test: $(STAMP) ## run the tests
	@$(BIN)/pytest -q -n 2 --dist worksteal

check: lint test ## lint, then test: the whole gate

bench: $(STAMP) ## measure speed, as ratios
	@$(BIN)/python bench/bench.py

golden: $(STAMP) ## rewrite the expected outputs under tests/; read the diff afterwards
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q
