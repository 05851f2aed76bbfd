# `make help` lists the targets. Each one sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENTRIES = $(wildcard functions/*/main.py)
WORKERS ?= 2
EXAMPLES ?= 5000
export COVERAGE_FILE := $(CURDIR)/$(VENV)/coverage

# Your Python only creates the environment; the environment's own Python installs into it.
SET_UP = python=$(BIN)/python; $$python -ISc 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python='$(PYTHON)'; \
	command -v $$python >/dev/null || \
		{ echo "Evergreen needs Python 3.11 or newer. Install it, or name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }; \
	GOALS='$(MAKECMDGOALS)' $$python tools/set_up.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-live property check bench bench-peers bench-attack soak chaos backup manifests openapi screenshots audit lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: ## create the virtual environment for `make run` and ./evergreen
	@$(SET_UP) local

setup-dev: ## the same, with what the tests and checks need
	@$(SET_UP) dev

run: setup ## run the whole stack on this machine until Ctrl-C
	@exec $(BIN)/python -m local

test: setup-dev ## run every test, with the coverage of all processes
	@rm -f "$(COVERAGE_FILE)"*
	@COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" $(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

test-live: setup-dev ## test your real Resend and Notion accounts; docs/live.md says what it does there
	@$(BIN)/pytest -o python_files='live_*.py' tests/live $(ARGS)

property: setup-dev ## search for a sequence of events that breaks the promise (EXAMPLES=5000)
	@EVERGREEN_PROPERTY_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -n $(WORKERS) tests/property/test_property.py $(ARGS)

check: setup-dev ## check style, types and imports
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "Not formatted. Fix it with: $(BIN)/ruff format"; exit 1; }
	@$(BIN)/mypy --no-error-summary shared scheduler commands local tools tests benchmarks
	@for entry in $(ENTRIES); do $(BIN)/mypy --no-error-summary $$entry || exit 1; done
	@$(BIN)/lint-imports --no-cache --no-logo >$(VENV)/lint-imports.txt || { cat $(VENV)/lint-imports.txt; exit 1; }
	@$(BIN)/pytest --quiet --no-header tests/house
	@$(BIN)/shellcheck --external-sources deploy/*.sh deploy/base/*.sh .ci/run
	@$(BIN)/python -m tools.manifests --check
	@$(BIN)/pytest --quiet --no-header tests/deploy/test_manifests.py

bench: setup-dev ## compare speed, lateness and size with the last recorded run (a few minutes)
	@$(BIN)/python -m benchmarks.quick $(ARGS)

# The others: Celery, Dramatiq, Huey, arq, rq-scheduler and Prefect.
bench-peers: setup-dev ## compare with Celery and five others (an hour; ARGS="--rounds 1": 12 minutes)
	@$(BIN)/python -m benchmarks.peers $(ARGS)

bench-attack: setup-dev ## measure what customers notice of floods, slow callers and a full ledger (18 minutes; ARGS="--seconds 20")
	@$(BIN)/python -m benchmarks.attack $(ARGS)

soak: setup-dev ## run a week's work in 20 minutes and see if anything grows (ARGS="--minutes 5")
	@$(BIN)/python -m benchmarks.soak $(ARGS)

chaos: setup-dev ## follow emails through 8 minutes of failures (ARGS="--customers 30 --seconds 60")
	@$(BIN)/python -m benchmarks.chaos $(ARGS)

backup: setup ## copy the running stack's ledger to .local/backups
	@$(BIN)/python -m local.backup $(ARGS)

manifests: setup-dev ## generate deploy/ files from stack.yml (ARGS="--campaigns FOLDER": mount your own)
	@$(BIN)/python -m tools.manifests $(ARGS)

openapi: setup-dev ## generate docs/openapi.json from the models that validate requests
	@$(BIN)/python -m tools.openapi $(ARGS)

screenshots: setup-dev ## retake the pictures in docs/img; needs Chromium
	@$(BIN)/python -m tools.screenshots

audit: setup-dev ## list known vulnerabilities in the image's packages, according to pypi.org
	@said=$$($(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --timeout 15 -r requirements.txt 2>&1); \
		code=$$?; echo "$$said"; case "$$code $$said" in \
		0*) ;; \
		*"could not be audited"*|*onnect*|*imeout*) echo "NOT AUDITED: this needs access to pypi.org itself, not a mirror."; exit 2;; \
		*) exit 1;; esac

# Raise versions, uv's own too, in the .in files.
lock: setup-dev ## generate requirements*.txt from requirements*.in
	@for name in requirements requirements-local requirements-dev requirements-installer requirements-build; do \
		$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
			--annotation-style line $$name.in -o $$name.txt || exit 1; done

clean: ## delete the virtual environment and test leftovers; the state in .local stays
	@rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache build
	@find functions shared scheduler commands local tools tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
