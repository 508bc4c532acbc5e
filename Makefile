# Everything a newcomer types. `make` alone says what there is.
PYTHON ?= python3
VENV ?= .venv
HLR ?= emulated
ORDERS ?= $(if $(filter osmo,$(HLR)),2000,10000)
SEEDS ?= 20000
WORKERS ?= logical
PORT ?= 8080
ADMIN_PORT ?= 8081

BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := build/tools
HAS_OSMO_HLR := { command -v osmo-hlr || [ -x $(TOOLS)/osmo/usr/bin/osmo-hlr ]; } >/dev/null
OSMO_HLR := $(HAS_OSMO_HLR) || tests/unpack_with_libraries.sh osmo-hlr $(TOOLS)/osmo || true

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo run test check format bench bench-pool sim torture-pool docs lock clean

help: ## this list
	@echo 'usage: make TARGET [NAME=value]'; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-15s %s\n", $$1, $$2}'
	@echo; echo '  VENV=folder keeps the virtual environment elsewhere; PYTHON=python3.12 builds it by another Python'

demo: $(READY) ## activate 10,000 members on four emulated HLRs and prove it; CHAOS=1 with faults and a kill -9; HLR=osmo on real ones; ORDERS=n
	@$(if $(filter osmo,$(HLR)),$(OSMO_HLR))
	@$(BIN)/python -m loadtest.demo --hlr $(HLR) --orders $(ORDERS) $(if $(filter-out 0,$(CHAOS)),--chaos)

run: $(READY) ## daemon and emulators stay up until Ctrl-C, with curl examples; PORT=n, ADMIN_PORT=n; PLATFORMS=1 with those of class 1
	@$(BIN)/python -m loadtest.run --port $(PORT) --admin-port $(ADMIN_PORT) $(if $(filter-out 0,$(PLATFORMS)),--platforms)

SIDE_BY_SIDE := --numprocesses $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: check ## check, then every test; the last line is pytest's own; WORKERS=n side by side (a core each), ARGS=--help
	@command -v promtool >/dev/null || [ -x $(TOOLS)/usr/bin/promtool ] \
		|| tests/unpack_deb.sh prometheus usr/bin/promtool $(TOOLS) || true
	@$(OSMO_HLR)
	@PATH="$$PATH:$(CURDIR)/$(TOOLS)/usr/bin"; left_out=; \
	command -v promtool >/dev/null || { left_out='not promtool'; \
		echo 'LEFT OUT: the tests marked "promtool" (the metrics page against promtool check metrics).'; \
		echo '          They need promtool, of Debian package prometheus: apt-get install prometheus'; }; \
	$(HAS_OSMO_HLR) || { left_out="$${left_out:+$$left_out and }not osmo"; \
		echo 'LEFT OUT: the tests marked "osmo" (the dialect osmo_hlr on a real HLR).'; \
		echo '          They need osmo-hlr, of the Debian package of that name: apt-get install osmo-hlr'; }; \
	$(BIN)/python -m pytest $${left_out:+-m "$$left_out"} $(SIDE_BY_SIDE) $(ARGS)

check: $(READY) ## format, lint, types and the floors of the tree, without running anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put every file into the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only .

bench: $(READY) ## orders/s and CPU per order end to end, into docs/performance.md and build/bench/
	@$(BIN)/python -m loadtest.bench

REDIS := redis-tools:usr/bin libjemalloc2:usr/lib liblzf1:usr/lib libatomic1:usr/lib

bench-pool: $(READY) ## allocations/s beside other designs, pools small, huge and full, into docs/performance.md
	@command -v redis-server >/dev/null || [ -x $(TOOLS)/usr/bin/redis-check-rdb ] \
		|| for part in $(REDIS); do \
			tests/unpack_deb.sh $${part%:*} $${part#*:} $(TOOLS) || break; done
	@$(BIN)/python -m loadtest.poolbench $(ARGS)

sim: $(READY) ## the engine under SEEDS=n random schedules of faults and crashes
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

torture-pool: $(READY) ## a million allocations through 20 kills and 3 restarts of PostgreSQL, checked; ARGS=--help
	@$(BIN)/python -m loadtest.torture $(ARGS)

docs: $(READY) ## write again what is drawn: docs/states.md, docs/metrics.md, docs/orders.md
	@$(BIN)/python -m tests.draw

lock: ## write requirements.lock anew from pyproject.toml: newest versions allowed, with hashes
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet uv
	echo 'setuptools>=77' | build/lock/bin/uv pip compile --quiet --upgrade --extra test \
		--python-version 3.11 --python-platform linux --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --output-file requirements.lock pyproject.toml -

clean: ## remove everything built, the virtual environment and the data of make run
	rm -rf $(VENV) build dist .hlrd .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -rf *.egg-info

# A Debian without python3-venv has no pip to put into a new environment; its package python3-pip-whl
# carries one, and needs no installing.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'hlrd needs Python 3.11 or newer; name one: make PYTHON=python3.11 $(MAKECMDGOALS)' >&2; exit 1; }
	@echo 'installing into $(VENV) (once)'
	@if [ -x $(BIN)/pip ]; then :; \
	elif $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	else \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		tests/unpack_deb.sh python3-pip-whl usr/share/python-wheels build/pip && \
		$(BIN)/python "$$(echo build/pip/usr/share/python-wheels/pip-*.whl)/pip" install --quiet \
			--no-index build/pip/usr/share/python-wheels/pip-*.whl; \
	fi || { echo 'this Python has no venv or pip: apt-get install python3-venv, then make again' >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
