# `make help` lists what there is. Each target sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENTRIES = $(wildcard functions/*/main.py)
WORKERS ?= 2
export COVERAGE_FILE := $(CURDIR)/$(VENV)/coverage

# The environment's own Python sets it up further; yours only makes it.
SET_UP = python=$(BIN)/python; $$python -ISc 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python='$(PYTHON)'; \
	command -v $$python >/dev/null || \
		{ echo "Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
	GOALS='$(MAKECMDGOALS)' $$python tools/set_up.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-live property check bench bench-peers soak chaos backup manifests openapi screenshots audit lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: ## the virtual environment and what `make run` and ./evergreen need in it
	@$(SET_UP) local

setup-dev: ## the same, and what the tests and the checks need
	@$(SET_UP) dev

run: setup ## the whole stack on this machine, until Ctrl-C
	@exec $(BIN)/python -m local

test: setup-dev ## every test, with the coverage of all processes
	@rm -f "$(COVERAGE_FILE)"*
	@COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" $(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-live: setup-dev ## against your real Resend and Notion accounts: docs/live.md says what it does there
	@$(BIN)/pytest -o python_files='live_*.py' tests/live $(ARGS)

property: setup-dev ## a long search for a sequence of events that breaks the promise (5,000 examples)
	@EVERGREEN_PROPERTY_EXAMPLES=5000 $(BIN)/pytest -n $(WORKERS) tests/property/test_property.py $(ARGS)

check: setup-dev ## style, types and who may import whom
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted. Fix it with: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary shared scheduler commands local tools tests benchmarks
	@for entry in $(ENTRIES); do $(BIN)/mypy --no-error-summary $$entry || exit 1; done
	@$(BIN)/lint-imports --no-cache --no-logo >$(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/pytest --quiet --no-header tests/house
	@$(BIN)/shellcheck --external-sources deploy/*.sh .ci/run
	@$(BIN)/python -m tools.manifests --check
	@$(BIN)/pytest --quiet --no-header tests/deploy/test_manifests.py

bench: setup-dev ## how fast, how late and how large Evergreen is, beside the last recorded run (a few minutes)
	@$(BIN)/python -m benchmarks.quick $(ARGS)

bench-peers: setup-dev ## the same work for Celery, Dramatiq, Huey, arq, rq-scheduler and Prefect (an hour; ARGS="--rounds 1": 12 minutes)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

soak: setup-dev ## a week's work compressed into 20 minutes, and whether anything grows (ARGS="--minutes 5")
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: setup-dev ## kills and failures for eight minutes, and what became of each email (ARGS="--customers 30 --seconds 60")
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

backup: setup ## a copy of the ledger of the stack that runs, in .local/backups
	@$(BIN)/python -m local.backup $(ARGS)

manifests: setup-dev ## the files in deploy/ that follow from stack.yml (ARGS="--campaigns FOLDER": mounts your own campaigns)
	@$(BIN)/python -m tools.manifests $(ARGS)

openapi: setup-dev ## docs/openapi.json, from the models that check what is posted
	@$(BIN)/python -m tools.openapi $(ARGS)

screenshots: setup-dev ## takes the pictures in docs/img again; needs a Chromium
	@$(BIN)/python -m tools.screenshots

audit: setup-dev ## known vulnerabilities of what the image installs, as pypi.org knows them
	@said=$$($(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --timeout 15 -r requirements.txt 2>&1); \
		code=$$?; echo "$$said"; case "$$code $$said" in \
		0*) ;; \
		*"could not be audited"*|*onnect*|*imeout*) echo "NOT AUDITED: that needs the network, and pypi.org itself rather than a mirror."; exit 2;; \
		*) exit 1;; esac

lock: setup-dev ## requirements*.txt from requirements*.in; a version there, uv's own too, is raised in the .in file
	@for name in requirements requirements-local requirements-dev requirements-installer requirements-build; do \
		$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
			--annotation-style line $$name.in -o $$name.txt || exit 1; done

clean: ## takes away the virtual environment and what tests leave; the state in .local stays
	@rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build
	@find functions shared scheduler commands local tools tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
