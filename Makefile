# Everything a fresh machine needs is set up here, in a virtual environment of this folder: python3 (3.11 or later) and
# make are all that is assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check fast results clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo  ## Even allocation against certaindex on a recording of a real model, side by side
	@BIN=$(BIN) scripts/demo

test: $(VENV)/.dev  ## Everything that CI runs: style, types, floors, all tests, coverage of the deciding floors
	@BIN=$(BIN) scripts/check
	@BIN=$(BIN) scripts/test

check: $(VENV)/.dev  ## Style, types and floors
	@BIN=$(BIN) scripts/check

fast: $(VENV)/.dev  ## The tests that take under a quarter of a second each
	@$(BIN)/pytest -m "not slow"

results: $(VENV)/.dev  ## Regenerate results/ from TRACES (about an hour)
	@BIN=$(BIN) scripts/results $(TRACES)

clean:  ## Remove the virtual environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment (Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.created pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[report]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
