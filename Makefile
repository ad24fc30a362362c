# Everything is set up in .venv: `make demo` and `make test` need Python >= 3.11, make and pip only.
# Another Python: make test PYTHON=python3.13

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

CORE := asgi_serial/http/*,asgi_serial/cache/*,asgi_serial/engine/*,asgi_serial/representation/*,asgi_serial/request/*,asgi_serial/caching/*,asgi_serial/response/*

# How many processes the tests run in, and how they are dealt out: whoever is done takes tests from
# the end of another's list, so that the tests of a file, which share servers, stay together.
JOBS ?= auto
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

# The tests of pure functions, which need no server, but for those of how much time or memory is used.
UNITS := tests/http tests/codecs tests/formats tests/timing tests/test_layers.py \
  tests/test_documentation.py tests/test_code_blocks.py tests/test_public_names.py \
  tests/test_settings.py tests/test_policy.py \
  --ignore tests/http/test_cost.py --ignore tests/codecs/test_memory.py \
  --ignore tests/formats/test_hostile_memory.py

.DEFAULT_GOAL := help
.PHONY: help demo check test test-long test-thrice test-frameworks lint types format services bench docs clean

help:
	@echo 'make demo    serve the demonstration API, and print a link and commands to try on it;'
	@echo '             ARGS="--port 9000" for another port'
	@echo 'make check   run lint, type checks and the tests of pure functions'
	@echo 'make test    run lint, type checks and every test, with coverage'
	@echo '             SEED=1 shuffles the tests and draws other examples; JOBS=4 for more processes'
	@echo 'make test-thrice  run every test with three seeds       make test-long  search for longer'
	@echo 'make test-frameworks  run the own tests of Starlette, FastAPI, Litestar and Falcon, bare and'
	@echo '             with the middleware around every app; ARGS="starlette" for one of them,'
	@echo '             ARGS="oldest" for the routes and the OpenAPI documents of the oldest releases'
	@echo 'make bench   measure against a bare app and the peers; ARGS="--only hit_all_on" for one row,'
	@echo '             ARGS="--instructions --against COMMIT" for what has changed since a commit'
	@echo 'make docs    build the site of the documentation into site/, and check its links'
	@echo 'make lint    run ruff          make types   run mypy'
	@echo 'make format  format the code   make clean   remove what make has made'

demo: $(VENV)/.demo-$(VERSION)
	$(BIN)/python -m asgi_serial demo $(ARGS)

check: lint types
	$(PYTEST) -q $(UNITS)

# The reports are printed whether the tests pass or not.
test: services lint types
	@failed=0; \
	$(PYTEST) $(if $(SEED),--hypothesis-seed=$(SEED)) --cov --cov-report= || failed=1; \
	$(BIN)/coverage report --skip-covered || failed=1; \
	$(BIN)/coverage report --include='$(CORE)' --fail-under=100 || failed=1; \
	exit $$failed

# The properties alone, with many more examples, which are new ones each time.
test-long: $(VENV)/.test-$(VERSION)
	$(PYTEST) --hypothesis-profile long -m hypothesis

# Every test with each of these seeds, whatever comes of the others.
SEEDS ?= 1 2 3

test-thrice: services lint types
	@failed=0; \
	for seed in $(SEEDS); do \
	  $(PYTEST) --hypothesis-seed=$$seed || failed=1; \
	done; \
	exit $$failed

# Each suite in an environment of its own, with the sources from PyPI.
test-frameworks: $(VENV)/.python-$(VERSION)
	$(BIN)/python -m frameworks $(ARGS)

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

# Any warning, such as of a link that leads nowhere, is an error; but --quiet would hide it from
# --strict.
docs: $(VENV)/.docs-$(VERSION)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'The site is in site/. To read it: python3 -m http.server --directory site'

$(VENV)/.demo-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.test-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[speed,cbor,redis,memcached]' --group lint --group test
	@touch $@

$(VENV)/.docs-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --editable . --group docs
	@touch $@

# starlette-caches asks for a Starlette below 1, but runs with the one that all others use.
$(VENV)/.bench-$(VERSION): $(VENV)/.python-$(VERSION) pyproject.toml
	$(BIN)/python -m pip install --quiet --upgrade --editable '.[speed,cbor,redis]' --group bench
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
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage dist
