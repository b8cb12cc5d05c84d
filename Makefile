.DEFAULT_GOAL := help
.PHONY: up down test test-heavy check audit fuzz bench reliability soak docs lock help install

install:
	@ops/install/install.sh

up: install ## start Flotilla with the demo model on this machine
	@.venv/bin/flotilla up

down: ## stop all of it
	@[ ! -x .venv/bin/flotilla ] || .venv/bin/flotilla down

test: check ## check, then run all tests
	@.venv/bin/python -m pytest

test-heavy: install ## run the tests that take too long for every day
	@.venv/bin/python -m pytest -m heavy

check: install ## check format, lint, types and structure; changes nothing
	@.venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet . && .venv/bin/mypy && .venv/bin/python -m pytest -q tests/test_architecture.py
	@.venv/bin/python -m ops.advisories || true

audit: install ## ask for known holes in the locked dependencies; a new one is a failure
	@.venv/bin/python -m ops.advisories

fuzz: install ## fuzz the parsing code, a minute a target; new inputs join tests/fuzz/corpus
	@tests/fuzz/run.sh

bench: install ## measure the gateway beside its rivals, keep the table in ops/bench/RESULTS.md
	@.venv/bin/python -m ops.bench --save

reliability: install ## break things, see what clients see, write ops/reliability.md
	@.venv/bin/python -m tests.faults

soak: install ## ask for half an hour while everything breaks in turn, write ops/soak.md
	@.venv/bin/python -m tests.soak

docs: install ## build the documentation into site/; open site/index.html
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet

lock: install ## renew the locked dependencies
	@ops/install/lock.sh

help: ## show this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
