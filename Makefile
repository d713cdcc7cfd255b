# Everything below works on a fresh machine with Python 3.11+ and make: the first target that needs
# it makes .venv from the pinned requirements.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo run test format lock interop prism bench

demo: .venv/run  ## the real server on a free port, signed requests of three users and a forgery
	$(BIN)/python -m examples.demo

run: .venv/run  ## the service on this machine, with the settings in .env
	$(BIN)/dotenv -f .env run --no-override -- $(BIN)/gunicorn "app:create_app()"

test: .venv/dev  ## all checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest --cov --cov-report=term

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: .venv/dev  ## requirements*.txt anew from pyproject.toml, for all Pythons that it allows
	$(PYTHON) -m venv .venv/uv && .venv/uv/bin/pip install -q uv
	.venv/uv/bin/uv pip compile -q --universal --no-header --python-version 3.11 \
	  pyproject.toml -o requirements.txt
	.venv/uv/bin/uv pip compile -q --universal --no-header --python-version 3.11 \
	  -c requirements.txt pyproject.toml --group dev -o requirements-dev.txt

interop: .venv/dev  ## HubSpot's own Python and Node clients against the running service (needs npm)
	$(BIN)/python -m tests.interop

prism: .venv/dev  ## the registration's commands against a mock made of HubSpot's API descriptions (needs npm)
	$(BIN)/python -m tests.prism

bench: .venv/run  ## what we claim about speed and memory: about eleven minutes, see benchmarks/
	$(BIN)/python -m benchmarks

.venv/run: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -r requirements.txt
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	$(BIN)/pip install -q -r requirements-dev.txt
	@touch $@
