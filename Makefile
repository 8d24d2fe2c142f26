# Everything a person does here, one verb each. Nothing but Python 3.11 and a network is needed.
SHELL := /bin/bash -o pipefail
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := requirements/uv.txt requirements/dev.lock
export UV_HTTP_TIMEOUT ?= 600
COMPILE = $(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

MINUTES ?= 20

.PHONY: setup demo test test-e2e test-unit check reference docs faults poison bench soak lock clean help

help: ## list these verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## make .venv with every dependency at its pinned version and hash, and the command twinstream
	@$(BIN)/python -m deploy.local.jars
	@echo "compiling the hot loops, or finding them compiled (up to a minute the first time)"
	@$(BIN)/python -m twinstream.algebra.precompile
	@$(BIN)/python -c "from ingest_svc import id_table, json_scan; id_table.warm_up(); json_scan.warm_up()"

$(STAMP): $(LOCKS) pyproject.toml setup.py $(wildcard requirements/*.in)
	@echo "[setup 1/3] a virtual environment in $(VENV) (seconds)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@echo "[setup 2/3] dependencies: about 3 GB, most of it PyTorch; 2-5 minutes the first time, seconds from uv's cache"
	@$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements/dev.lock \
		|| { echo "The install failed. Is there a network, and 8 GB free in $$(pwd)? Then run make setup again: it resumes."; exit 1; }
	@echo "[setup 3/3] twinstream itself (seconds)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --config-settings editable_mode=compat -e .
	@touch $@

demo: setup ## the main job from files to report, about 8 minutes on two cores
	$(BIN)/twinstream demo

test: setup ## all tests, with real engines
	$(BIN)/python -m pytest

test-e2e: setup ## the whole mesh on the shop example alone, each service killed once
	$(BIN)/python -m pytest tests/e2e

test-unit: setup ## the tests that start no engine
	$(BIN)/python -m pytest tests/unit tests/architecture tests/tidy

check: setup ## ruff, its formatter, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet --exclude '*.md' .
	$(BIN)/mypy
	$(BIN)/lint-imports

reference: setup ## write docs/reference again from the code
	$(BIN)/python -m deploy.reference

docs: setup ## build the documentation site, strictly, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html, or with search: $(BIN)/python -m http.server --directory site"

faults: setup ## the long fault run: kills, stops, broken files, compared byte for byte
	$(BIN)/python -m tests.faults.run

poison: setup ## 10,000 odd records, files, events and requests at a whole mesh; nothing may stop or be lost
	$(BIN)/python -m tests.poison.run

bench: setup ## our figures against peers on this machine
	$(BIN)/python -m benchmarks

soak: setup ## memory of every process at full load; MINUTES=20
	$(BIN)/python -m benchmarks.soak $(MINUTES)

lock: $(STAMP) ## write the hashed lock files again from requirements/*.in; add UPGRADE=--upgrade for newer versions
	$(COMPILE) $(UPGRADE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) $(UPGRADE) requirements/dev.in -o requirements/dev.lock
	$(COMPILE) -c requirements/dev.lock requirements/all.in -o requirements/main.lock
	$(COMPILE) $(UPGRADE) benchmarks/peers/quix.in -o benchmarks/peers/quix.txt
	$(COMPILE) $(UPGRADE) benchmarks/peers/fastapi.in -o benchmarks/peers/fastapi.txt

clean: ## remove the virtual environment, caches and the data of local meshes
	rm -rf $(VENV) site .twinstream .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
