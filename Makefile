# Two commands do everything on a fresh machine with Python, make and git: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check format bench lock package clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY)  ## run a real sweep on real images: live progress, best configuration
	$(BIN)/gradsweep demo

test: $(READY)  ## run all tests: unit, numerics, SQLite and PostgreSQL, end to end
	$(BIN)/pytest

check: $(READY)  ## format, lint, types, import rules, packaging
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## format the code and sort its imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(READY)  ## measure the figures of docs/benchmarks.md
	$(BIN)/python -m benchmarks

lock: $(READY)  ## resolve the dependencies again, with hashes
	for extra in worker gpu dev; do \
	  extras="--extra $$extra"; [ $$extra = dev ] && extras="--extra worker --extra dev"; \
	  $(BIN)/uv pip compile pyproject.toml $$extras --universal --python-version 3.11 --generate-hashes --quiet \
	    --no-emit-index-url --custom-compile-command 'make lock' -o requirements/$$extra.txt; \
	done
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	  --no-emit-index-url --custom-compile-command 'make lock' -o requirements/base.txt
	! grep -n '://' requirements/*.txt

clean:  ## remove what the other targets made, the data folder apart
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build *.egg-info
