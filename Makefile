# Two commands do all the set-up on a fresh machine: `make serve` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 6379

.PHONY: help serve test install install-test real-redis conformance conformance-matrix fuzz conformance-calibrate bench lint docs clean

help:
	@echo "make serve         a server on 127.0.0.1:$(PORT)"
	@echo "make test          the specification and the comparison with real servers"
	@echo "make conformance   the comparison alone, with its table"
	@echo "make conformance-matrix     every server at hand beside Redis 8.2, into docs/matrix/index.html"
	@echo "make fuzz          generated commands against the oracle (COUNT=2000 SEED=1)"
	@echo "make conformance-calibrate  the oracle against itself: 20,000 generated commands"
	@echo "make bench         speed, memory and pauses beside real Redis"
	@echo "make lint          ruff and mypy --strict"
	@echo "make docs          the site, into site/"

serve: install
	$(BIN)/mini-redis serve --bind 127.0.0.1 --port $(PORT)

test: install-test real-redis
	$(BIN)/python -m pytest

install: $(VENV)/installed
install-test: $(VENV)/installed-test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast]'
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,test,lint,docs,conformance]'
	@touch $@ $(VENV)/installed

# redis-cli and redis-benchmark are among the clients under test, and 7.0 is one of the versions compared with.
# Without root or apt the tests that need them are skipped, and say so.
real-redis:
	@if ! command -v redis-cli >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server redis-sentinel redis-tools >/dev/null; \
	fi

conformance: install-test
	$(BIN)/python -m conformance run --subject mini_redis --oracle redis-8.2

# The brief edition for the site, small enough to be kept in the repository; it takes a few minutes.
conformance-matrix: install-test real-redis
	$(BIN)/python -m conformance matrix --brief --shrinks 60 --html docs/matrix/index.html

COUNT ?= 2000
SEED ?= 1
fuzz: install-test
	$(BIN)/python -m conformance fuzz --subject mini_redis --oracle redis-8.2 --count $(COUNT) --seed $(SEED)

conformance-calibrate: install-test
	CONFORMANCE_COUNT=20000 $(BIN)/python -m pytest -s conformance/test_calibration.py -k "generated_commands"

bench: install-test real-redis
	$(BIN)/python -m conformance.bench

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install-test
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
