# make demo: see the product work. make test: prove it. Both do all their own set-up (python3, python3-venv, make).
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TOOLS := $(VENV)/tools/bin
PINNED := --constraint constraints.txt

.PHONY: demo test check serve install picture lock sbom clean help

help:
	@echo "make demo    a phantom goes through a node; results in demo-out/"
	@echo "make test    the whole suite; what needs a part that is missing is skipped with a reason"
	@echo "make check   lint, types, import rules, module sizes"
	@echo "make serve   run the node with ./config"
	@echo "make install Isocenter into .venv, and nothing more"
	@echo "make lock    write what pyproject.toml resolves to into constraints.txt; versions there stay where they can"
	@echo "make sbom    write what the product is made of into build/sbom.json (CycloneDX)"

demo: $(VENV)/.core
	@$(BIN)/isocenter demo

serve: $(VENV)/.core
	@$(BIN)/isocenter serve

install: $(VENV)/.core

test: $(VENV)/.test
	@$(BIN)/python -m pytest

check: $(VENV)/.test
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports && $(BIN)/python -m pytest tests/house

picture: $(VENV)/.test
	@$(BIN)/python -m tests.house.picture

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Isocenter needs Python 3.11 or later. Debian, Ubuntu: apt install python3 python3-venv" >&2; \
	  echo "Where it is there under another name: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import sqlite3, sys; sys.exit(sys.version_info >= (3, 12) and sqlite3.sqlite_version_info < (3, 42))' || { \
	  echo "From Python 3.12 on SQLite 3.42 or later is needed (dbos), and $(PYTHON) has an older one." >&2; \
	  echo "On Debian 12 and Ubuntu 22.04 take Python 3.11: make PYTHON=python3.11 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments. Debian, Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.core: $(BIN)/python pyproject.toml constraints.txt
	@echo "installing Isocenter into $(VENV) (the first time takes a minute)"
	@$(PIP) install $(PINNED) --editable .
	@$(BIN)/python -m compileall -q ai node  # a node's own user may not write here: each start would compile it all
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@echo "installing torch and the tools of the tests into $(VENV)"
	@$(PIP) install $(PINNED) --editable ".[torch,test]"
	@touch $@

$(TOOLS)/uv: $(BIN)/python
	@$(BIN)/python -m venv $(VENV)/tools
	@$(TOOLS)/python -m pip --disable-pip-version-check --quiet install uv cyclonedx-bom

lock: $(TOOLS)/uv
	@$(TOOLS)/uv pip compile --quiet --universal --python-version 3.11 --extra torch --extra test --no-annotate \
	  --custom-compile-command "make lock" --output-file constraints.txt pyproject.toml
	@sed -i '1i # The exact versions that are installed, for every Python from 3.11 on; torch brings the CUDA packages from PyPI.' \
	  constraints.txt

# From an environment that holds the product alone, without pip.
sbom: $(TOOLS)/uv
	@$(BIN)/python -m venv --clear --without-pip $(VENV)/product
	@$(PIP) --python $(VENV)/product/bin/python install $(PINNED) --editable .
	@mkdir -p build
	@$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json $(VENV)/product/bin/python

clean:
	rm -rf $(VENV) demo-out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
