# Everything below works on a fresh machine with Python 3.11+ and make: the first target that needs
# it makes .venv from the pinned requirements.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

# What `make check` leaves to `make test`: real servers, and the slowest of the others.
SLOW := $(addprefix --ignore-glob=tests/test_,system_* cli_connection_faults.py cli_providers_new.py \
  directory_large.py hubspot_diagnosis.py providers_wrong_adapters.py webhook_mutations.py)

# A .venv whose Python is gone or too old, or another than the one named, is made anew.
VERSION := import sys; sys.version_info >= (3, 11) and print(*sys.version_info[:2])
MADE := $(shell $(BIN)/python -c "$(VERSION)" 2>/dev/null)
NAMED := $(if $(filter command,$(origin PYTHON)),$(shell $(PYTHON) -c "$(VERSION)" 2>/dev/null),$(MADE))
ifneq ($(MADE),$(or $(NAMED),none))
$(shell rm -f .venv/run .venv/dev)
endif

.PHONY: help demo demo-vendor run check test lint format docs lock interop prism prism-providers fuzz-api bench

help:  ## this list
	@awk -F ':.*##  *' '/^[a-z-]+:.*##/ { printf "%-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/run  ## the real server on a free port, signed requests of three users and a forgery
	$(BIN)/python -m examples.demo

demo-vendor: .venv/dev  ## two instances, PostgreSQL, Valkey, a thousand portals, an edit, an outage
	$(BIN)/python -m examples.demo_vendor

run: .venv/run  ## the service on this machine, with the settings in .env
	$(BIN)/python -m helpdesk_numbers.serve

check: .venv/dev lint  ## the quick checks: format, lint, types, tests that start no server
	$(BIN)/pytest -q -n 4 $(SLOW)

# sys.monitoring, which Python has since 3.12, makes coverage cost a third less.
CORE := $(BIN)/python -c "import sys; print('sysmon' if hasattr(sys, 'monitoring') else 'ctrace')"

test: .venv/dev lint  ## all checks, with coverage
	COVERAGE_CORE=$$($(CORE)) $(BIN)/pytest -n 4 --durations=10 --cov --cov-report=term

lint: .venv/dev  ## format, lint and types alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: .venv/dev  ## layout and imports put in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/dev  ## docs/settings.md and docs/commands.md anew, out of the code
	$(BIN)/python -m docs.generate

lock: .venv/dev  ## requirements*.txt anew from pyproject.toml, for all Pythons that it allows
	$(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install -q uv
	.venv/uv/bin/uv pip compile -q --universal --no-header --python-version 3.11 \
	  pyproject.toml -o requirements.txt
	.venv/uv/bin/uv pip compile -q --universal --no-header --python-version 3.11 \
	  -c requirements.txt pyproject.toml --group dev -o requirements-dev.txt

interop: .venv/dev  ## HubSpot's own Python and Node clients against the running service (needs npm)
	$(BIN)/python -m tests.interop

prism: .venv/dev  ## the registration's commands against mocks of HubSpot's API (needs npm)
	$(BIN)/python -m tests.prism

prism-providers: .venv/dev  ## the adapters against mocks of the carriers' APIs (needs npm)
	$(BIN)/python -m tests.prism_providers

fuzz-api: .venv/dev  ## ten minutes of Schemathesis against the running management API
	$(BIN)/python -m tests.fuzz_api

bench: .venv/dev  ## what we claim about speed and memory: about half an hour, see benchmarks/
	$(BIN)/python -m benchmarks

.venv/run: requirements.txt
	@! test -L .venv || { echo "make: .venv is a link to another checkout's: remove it"; exit 1; }
	@$(PYTHON) -c "import sys; sys.version_info >= (3, 11) or sys.exit( \
	  'helpdesk-numbers needs Python 3.11 or later, and $(PYTHON) is %d.%d.' % sys.version_info[:2] \
	  + ' Name another one: make PYTHON=python3.13 ...')"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install -q -r requirements.txt
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(BIN)/pip install -q -r requirements-dev.txt
	@touch $@
