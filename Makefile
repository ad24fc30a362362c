# Everything is set up in .venv: `make demo` and `make test` need Python >= 3.11, make and pip only.
# Another Python: make test PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

CORE := asgi_serial/http/*,asgi_serial/engine/*,asgi_serial/cache/*

.DEFAULT_GOAL := help
.PHONY: help demo test lint types format services bench clean

help:
	@echo 'make demo    serve the demonstration API and print commands to try on it'
	@echo 'make test    run lint, type checks and every test, with coverage'
	@echo 'make bench   measure against a bare app and the peers; ARGS="--only hit_all_on" for one row'
	@echo 'make lint    run ruff          make types   run mypy'
	@echo 'make format  format the code   make clean   remove what make has made'

demo: $(VENV)/.demo-$(VERSION)
	$(BIN)/python -m asgi_serial demo

test: services lint types
	$(BIN)/python -m pytest --cov --cov-report=
	$(BIN)/coverage report --skip-covered
	$(BIN)/coverage report --include='$(CORE)' --fail-under=100

lint: $(VENV)/.test-$(VERSION)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test-$(VERSION)
	$(BIN)/mypy

format: $(VENV)/.test-$(VERSION)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The servers that the tests start on loopback.
services:
	@.ci/services

bench: $(VENV)/.bench-$(VERSION)
	PYTHONPATH=$(VENV)/peers $(BIN)/python -m benchmarks $(ARGS)

$(VENV)/.demo-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[speed,redis,memcached]' --group lint --group test
	@touch $@

# starlette-caches asks for a Starlette below 1, but runs with the one that all others use.
$(VENV)/.bench-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[speed]' --group bench
	$(BIN)/python -m pip install --quiet --upgrade --no-deps --target $(VENV)/peers starlette-caches
	@touch $@

# Some systems ship venv without pip; the system's pip then installs it. Dependency groups need
# pip 25.1, which many a Python does not bring.
$(VENV)/.python-$(VERSION):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "asgi_serial needs Python 3.11 or newer; $(PYTHON) is '$(VERSION)'. Name another: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; } || \
	  { echo "$(PYTHON) can not make a virtual environment; install venv or pip for it (Debian: apt-get install python3-venv)." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist
