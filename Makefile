# Two commands do all the set-up on a fresh machine: `make serve` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 6379

.PHONY: help release-python serve test install install-test install-clients node-clients clients browser real-redis conformance conformance-matrix redis-suite fuzz conformance-calibrate bench growth choices lint docs clean

help:
	@echo "make serve         a server on 127.0.0.1:$(PORT)"
	@echo "make test          the specification and the comparison with real servers"
	@echo "make clients       rq, celery, bullmq and others at work, on real Redis and on mini_redis"
	@echo "make browser       Chromium, for the one test that needs it (as root)"
	@echo "make conformance   the comparison alone, with its table"
	@echo "make conformance-matrix     every server at hand beside Redis 8.2, into docs/matrix/index.html"
	@echo "make redis-suite   Redis's own tests (SOURCE=a folder with the source of Redis 8.0 or later)"
	@echo "make fuzz          generated commands against the oracle (COUNT=2000 SEED=1)"
	@echo "make conformance-calibrate  the oracle against itself: 20,000 generated commands"
	@echo "make bench         speed, memory and pauses beside real Redis; who waits while a million elements are deleted"
	@echo "make growth        what operations cost as the data grows, beside real Redis"
	@echo "make choices       the same problem in several structures: memory and time, beside real Redis"
	@echo "make lint          ruff and mypy --strict"
	@echo "make docs          the site, into site/"

serve: install
	$(BIN)/mini-redis serve --bind 127.0.0.1 --port $(PORT)

test: install-test install-clients node-clients real-redis
	$(BIN)/python -m pytest

install: $(VENV)/installed
install-test: $(VENV)/installed-test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,scripting]'
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,scripting,test,clients,lint,docs,conformance]'
	@touch $@ $(VENV)/installed

# arq asks for a redis-py older than everybody else's. Without a registry its tests are skipped, and say so.
ARQ := $(VENV)/clients/arq-0.28.0
install-clients: $(ARQ)
$(ARQ): | $(BIN)/python
	@rm -rf $(VENV)/clients/arq && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(VENV)/clients/arq arq==0.28.0 && \
		touch $@ || echo "arq cannot be installed: its tests will be skipped"

# Programs from npm, at the versions of package.json and without their install scripts.
NODE_CLIENTS := $(VENV)/clients/node
node-clients: $(NODE_CLIENTS)/package.json
$(NODE_CLIENTS)/package.json: spec/clients/node/package.json | $(BIN)/python
	@if ! command -v npm >/dev/null; then echo "there is no npm: the tests of node programs will be skipped"; else \
		rm -rf $(NODE_CLIENTS).new && mkdir -p $(NODE_CLIENTS).new && cp $< $(NODE_CLIENTS).new && \
		(cd $(NODE_CLIENTS).new && npm install --silent --ignore-scripts --no-package-lock --no-audit --no-fund) && \
		rm -rf $(NODE_CLIENTS) && mv $(NODE_CLIENTS).new $(NODE_CLIENTS) && touch $@ || \
		echo "npm cannot install them: the tests of node programs will be skipped"; \
	fi

clients: install-test install-clients node-clients real-redis
	CLIENTS_SERVERS=redis-8.2,mini_redis $(BIN)/python -m pytest spec/clients

# For the one test that looks at redis-commander in a browser; as root.
browser:
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null

# redis-cli, redis-benchmark and the Prometheus exporter are among the clients under test, and 7.0 is one of the versions
# compared with.
# Without root or apt the tests that need them are skipped, and say so.
real-redis:
	@if ! { command -v redis-cli && command -v prometheus-redis-exporter; } >/dev/null && \
		[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server redis-sentinel redis-tools \
			prometheus-redis-exporter >/dev/null; \
	fi

conformance: install-test
	$(BIN)/python -m conformance run --subject mini_redis --oracle redis-8.2

# The brief edition for the site, small enough to be kept in the repository; it takes a few minutes.
conformance-matrix: install-test real-redis
	$(BIN)/python -m conformance matrix --brief --shrinks 60 --html docs/matrix/index.html

# Redis's tests are not ours to keep here: SOURCE is where its source was unpacked. Needs tclsh; takes a quarter of an hour.
SOURCE ?= redis
redis-suite: install-test real-redis
	$(BIN)/python -m conformance redis-suite --source $(SOURCE)

COUNT ?= 2000
SEED ?= 1
fuzz: install-test
	$(BIN)/python -m conformance fuzz --subject mini_redis --oracle redis-8.2 --count $(COUNT) --seed $(SEED)

conformance-calibrate: install-test
	CONFORMANCE_COUNT=20000 $(BIN)/python -m pytest -s conformance/test_calibration.py -k "generated_commands"

# Beside a Redis that its makers or a distribution have compiled, measure an interpreter that a distribution has compiled:
# a python3 built at home is often a fifth slower. The report says which it was.
SYSTEM_PYTHON ?= /usr/bin/python3
RELEASE := $(VENV)/release
MEASURED := MINI_REDIS_PYTHON=$(RELEASE)/bin/python
release-python: $(RELEASE)/installed
$(RELEASE)/installed: pyproject.toml | $(BIN)/python
	@if ! $(SYSTEM_PYTHON) -c 'import ensurepip' 2>/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
	fi
	@python=$(SYSTEM_PYTHON); \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python=$(PYTHON); \
	$$python -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[fast,scripting]'
	@touch $@

bench: install-test real-redis release-python
	$(MEASURED) $(BIN)/python -m conformance.bench
	$(MEASURED) $(BIN)/python -m conformance.release

growth: install-test real-redis release-python
	$(MEASURED) $(BIN)/python -m conformance.growth --plot docs/pictures/growth.svg --json docs/measured/growth.json

choices: install-test real-redis release-python
	$(MEASURED) $(BIN)/python -m conformance.choices --json docs/measured/choices.json

lint: install-test
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: install-test
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) site .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
