# Everything a developer runs. `make` lists the targets; nothing but make, bash and Python 3.11+ is needed to start.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# Compiled modules make every later start of a node or a test process faster.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input --root-user-action=ignore
PLUGINS := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
CATALOGUES := $(wildcard teleconsult/translations/*/LC_MESSAGES/messages.po)

.PHONY: help setup demo test check bench acceptance torture messages clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.projects $(CATALOGUES:.po=.mo) ## Install teleconsult, its plugins and all tools into .venv

demo: setup ## Start a hub and a vehicle node with invented people; Ctrl-C stops both
	@$(BIN)/teleconsult demo

test: setup ## Run all tests: unit, processes, integration (on both databases), real browsers
	@scripts/system-packages test
	@status=0; \
	$(BIN)/python -m pytest tests/unit -n 2 || status=1; \
	$(BIN)/python -m pytest tests/processes $(wildcard plugins/*/tests) -n 2 || status=1; \
	echo "The tests that use a database, on PostgreSQL:"; \
	$(BIN)/python -m tests.support.postgres $(BIN)/python -m pytest tests/unit tests/processes tests/integration -n 2 || status=1; \
	$(BIN)/python -m pytest tests/integration -n 2 --dist loadfile || status=1; \
	$(BIN)/python -m pytest tests/browser || status=1; \
	exit $$status

check: setup .venv/.node ## Check style, types, imports, translations and what the files say
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/check

bench: setup ## Measure; prints tables, writes build/bench.json and draws docs/images/media-bench.svg
	@scripts/system-packages bench
	@$(BIN)/python -m tests.bench

acceptance: setup ## Do the main job against HUB=https://… VEHICLE=https://… in real browsers (docs/running.md)
	@scripts/system-packages test
	@test -n "$(HUB)" && test -n "$(VEHICLE)" || { echo "Say which: make acceptance HUB=https://… VEHICLE=https://…" >&2; exit 2; }
	@CA="$(CA)" $(BIN)/python -m tests.acceptance "$(HUB)" "$(VEHICLE)"

torture: setup ## Attack the media port for TORTURE_MINUTES (5); see tests/torture
	@$(BIN)/python -m tests.torture

messages: setup ## Collect the marked strings into the catalogues and list what has no translation
	@$(BIN)/python scripts/messages.py extract
	@$(BIN)/python scripts/messages.py missing

clean: ## Remove what can be made again, .venv included; the demo's data in var/ stays
	rm -rf .venv node_modules build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/artifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f $(CATALOGUES:.po=.mo)

.venv/.locked: requirements-dev.lock
	@scripts/make-venv
	@echo "Installing the locked dependencies into .venv."
	@$(PIP) --require-hashes --requirement requirements-dev.lock
	@touch $@

.venv/.projects: .venv/.locked pyproject.toml hatch_build.py $(PLUGINS:=/pyproject.toml)
	@$(PIP) --no-deps --no-build-isolation --editable . $(foreach plugin,$(PLUGINS),--editable $(plugin))
	@touch $@

.venv/.node: .venv/.locked package-lock.json
	@scripts/system-packages check
	@npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

%.mo: %.po .venv/.locked
	@$(BIN)/python scripts/messages.py compile
