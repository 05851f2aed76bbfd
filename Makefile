# `make help` lists what there is. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENTRIES = $(wildcard functions/*/main.py)
WORKERS ?= 2
export COVERAGE_FILE := $(CURDIR)/$(VENV)/coverage

.DEFAULT_GOAL := help
.PHONY: help setup run test test-live property check bench bench-peers soak chaos backup screenshots audit lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: ## the virtual environment and what the project needs in it
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || { echo "Making $(VENV) ..."; $(PYTHON) -m venv $(VENV); }
	@cmp -s requirements-dev.txt $(VENV)/installed.txt || { echo "Installing what requirements-dev.txt names ..."; \
		$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt && \
		cp requirements-dev.txt $(VENV)/installed.txt; }

run: setup ## the whole stack on this machine, until Ctrl-C
	@exec $(BIN)/python -m local

test: setup ## every test, with the coverage of all processes
	@rm -f $(COVERAGE_FILE)*
	@COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-live: setup ## against your real Resend and Notion accounts: docs/live.md says what it does there
	@$(BIN)/pytest -o python_files='live_*.py' tests/live $(ARGS)

property: setup ## a long search for a sequence of events that breaks the promise (5,000 examples)
	@EVERGREEN_PROPERTY_EXAMPLES=5000 $(BIN)/pytest -n $(WORKERS) tests/property/test_property.py $(ARGS)

check: setup ## style, types and who may import whom
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted; mend it with: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary shared scheduler commands local tests benchmarks
	@for entry in $(ENTRIES); do $(BIN)/mypy --no-error-summary $$entry || exit 1; done
	@$(BIN)/pytest --quiet --no-header tests/house/test_imports.py
	@$(BIN)/shellcheck --external-sources deploy/*.sh .ci/run
	@$(BIN)/python evergreen manifests --check
	@$(BIN)/pytest --quiet --no-header tests/deploy/test_manifests.py

bench: setup ## how fast, how late and how large Evergreen is, beside the last recorded run (a few minutes)
	@$(BIN)/python -m benchmarks.quick $(ARGS)

bench-peers: setup ## the same work for Celery, Dramatiq, Huey, arq, rq-scheduler and Prefect (an hour; ARGS="--rounds 1": 12 minutes)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

soak: setup ## a week's work compressed into 20 minutes, and whether anything grows (ARGS="--minutes 5")
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: setup ## kills and failures for eight minutes, and what became of each email (ARGS="--customers 30 --seconds 60")
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

backup: setup ## a copy of the ledger of the stack that runs, in .local/backups
	@$(BIN)/python -m local.backup $(ARGS)

screenshots: setup ## the pictures in docs/img anew; needs a Chromium
	@$(BIN)/python -m tools.screenshots

audit: setup ## known vulnerabilities of what the image installs, as pypi.org knows them
	@test -x $(BIN)/pip-audit || { echo "pip-audit is not installed yet: make lock, then make audit"; exit 1; }
	@said=$$($(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --timeout 15 -r requirements.txt 2>&1); \
		code=$$?; echo "$$said"; case "$$code $$said" in \
		0*) ;; \
		*"could not be audited"*|*onnect*|*imeout*) echo "NOT AUDITED: that needs the network, and pypi.org itself rather than a mirror."; exit 2;; \
		*) exit 1;; esac

lock: setup ## requirements*.txt anew from requirements*.in
	@$(BIN)/pip install --quiet --disable-pip-version-check uv
	@for name in requirements requirements-dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --annotation-style line $$name.in -o $$name.txt || exit 1; done

clean: ## takes away the virtual environment and what tests leave; the state in .local stays
	@rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build
	@find functions shared scheduler commands local tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
