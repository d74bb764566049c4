# Two commands do everything on a fresh machine with Python, make and git: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test chromium check package format mutants chaos bench pictures lock secrets clean

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

demo: $(READY)  ## run a real sweep on real images: live progress, best configuration
	$(BIN)/gradsweep demo

chromium:  ## install the browser that the browser tests drive, if it is missing (Debian)
	command -v chromium > /dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } || \
	  { echo 'chromium is missing; as root: apt-get install -y chromium' >&2; exit 1; }

test: $(READY) chromium  ## run all tests: unit, numerics, SQLite and PostgreSQL, end to end
	$(BIN)/pytest -n 2 --dist loadfile

check: $(READY)  ## format, lint, types, import rules, packaging
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

package: $(READY)  ## build the wheel, install it alone into an empty environment and migrate a database with it
	rm -rf build/package && mkdir -p build/package
	$(BIN)/python -m build --no-isolation --outdir build/package/dist . > build/package/build.log || { cat build/package/build.log; exit 1; }
	$(PYTHON) -m venv build/package/venv
	$(BIN)/uv pip install --quiet --python build/package/venv/bin/python --require-hashes -r requirements/base.txt
	$(BIN)/uv pip install --quiet --python build/package/venv/bin/python --no-deps build/package/dist/*.whl
	cd build/package && venv/bin/gradsweep --help > /dev/null && venv/bin/gradsweep migrate --data-dir data

format: $(READY)  ## format the code and sort its imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

mutants: $(READY)  ## plant faults one at a time; each must turn a test red (minutes)
	$(BIN)/python tests/mutants.py

chaos: $(READY)  ## kill and stop workers, the service and PostgreSQL's backends under 300 trials; nothing may be lost (minutes)
	$(BIN)/python tests/chaos/run.py

bench: $(READY)  ## measure the figures of docs/benchmarks.md
	$(BIN)/python -m benchmarks

pictures: $(READY) chromium  ## train the sweeps of docs/images and take their pictures anew (minutes)
	$(BIN)/python tests/browser/pictures.py

COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet \
  --no-emit-index-url --custom-compile-command 'make lock'

lock: $(READY)  ## resolve the dependencies again, with hashes and without the name of any registry
	echo 'uv>=0.13' | $(COMPILE) - -o requirements/uv.txt
	echo 'hatchling>=1.27' | $(COMPILE) - -o requirements/build.txt
	$(COMPILE) pyproject.toml -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra worker -o requirements/worker.txt
	$(COMPILE) pyproject.toml --extra gpu -o requirements/gpu.txt
	$(COMPILE) pyproject.toml --extra figures -o requirements/figures.txt
	$(COMPILE) pyproject.toml --extra worker --extra figures --extra dev -o requirements/dev.txt
	! grep -n '://' requirements/*.txt

secrets:  ## make the two secrets that docker-compose.yml reads, unless they are there
	mkdir -p -m 700 secrets
	for name in token postgres_password; do \
	  [ -e secrets/$$name ] || $(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(32), end="")' > secrets/$$name; \
	done

clean:  ## remove what the other targets made, the data folder apart
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build *.egg-info
