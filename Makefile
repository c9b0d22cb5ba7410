PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO_SECONDS ?= 30

.PHONY: help demo install dev test bench soak lint audit lock clean

help:
	@echo "make demo     the real job against a local Gladly and Segment, no account needed (DEMO_SECONDS=n)"
	@echo "make install  the environment in .venv: $(BIN)/gladly-segment"
	@echo "make dev      the same, with what the tests and the linters need"
	@echo "make test     the test suite, in under three minutes; LONG=1 adds crashes, clocks, browsers"
	@echo "make soak     the long runs: faults for ten minutes, 200 kills, a backlog of 20,000 events"
	@echo "make bench    figures beside their floors and peers (BENCH_ARGS=--quick)"
	@echo "make lint     ruff, mypy and the import contract"
	@echo "make audit    known vulnerabilities among the pinned dependencies"
	@echo "make lock     renew the pinned dependencies in requirements/"
	@echo "make clean    removes .venv and every cache, and no settings and no state file"

# What the project needs of Python. Debian and Ubuntu have venv in a package of its own, and without it `python3 -m venv`
# leaves half an environment behind. The last file that venv makes is pip, so half an environment is made anew.
define NEEDED
import sys
if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or newer is needed. Name one with: make PYTHON=python3.12")
try:
    import ensurepip, venv
except ImportError:
    package = "python%d.%d-venv" % sys.version_info[:2]
    sys.exit("This Python cannot make an environment. On Debian and Ubuntu, install what is missing with\n"
             "  sudo apt-get install " + package + "\nand give the same make command again.")
endef
export NEEDED

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON). Install Python 3.11 or newer, or name one with: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c "$$NEEDED"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# Everything installed is pinned by hash, and the locks are complete, so nothing is left to resolve; the project
# itself is built with the pinned backend.
$(VENV)/.run: requirements/run.lock pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/run.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.lock
	@touch $@

install: $(VENV)/.run

dev: $(VENV)/.dev

demo: install
	@DEMO_SECONDS=$(DEMO_SECONDS) $(BIN)/gladly-segment demo

test: dev
	$(BIN)/python -m pytest -n 4 $(if $(LONG),,-m "not long") $(PYTEST_ARGS)

# Ten minutes under faults, 200 kills, and a backlog of 20,000 events: too long for every change.
soak: dev
	GLADLY_SEGMENT_SOAK_S=600 GLADLY_SEGMENT_KILLS=200 GLADLY_SEGMENT_BACKLOG=20000 GLADLY_SEGMENT_EXAMPLES=300 \
		$(BIN)/python -m pytest -n 2 --timeout 1200 -s tests/scenarios tests/faults/state_file/test_a_crash_at_any_point.py

# The peers beside it: `uv pip install --group bench` (or pip, 25.1 or newer) adds dlt.
bench: dev
	$(BIN)/python -m bench $(BENCH_ARGS)

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Known vulnerabilities among the pinned dependencies; what the advisory service does not know is listed.
audit: dev
	$(BIN)/pip-audit --disable-pip --require-hashes --progress-spinner off -r requirements/run.lock

# Needs uv. The locks hold hashes and no addresses.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" pyproject.toml

lock:
	$(COMPILE) --group build --group dev -o requirements/dev.lock
	$(COMPILE) --group build -c requirements/dev.lock -o requirements/run.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* htmlcov
