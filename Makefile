# Every target sets itself up: the virtual environment is made on first use and
# remade when pyproject.toml or constraints.txt change. Any Python from 3.11 on:
#   make test PYTHON=python3.12

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready
READY_DOCS := $(VENV)/.ready-docs

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-fast test-extras lint format docs bench campaigns build clean

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lte-chains needs Python 3.11 or later; say which: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade -c constraints.txt pip
	$(PIP) install --quiet -c constraints.txt -e '.[chroma,community,hf,llama-index,mcp,offline,postgres,train]' --group dev
	@touch $@

$(READY_DOCS): $(READY)
	$(PIP) install --quiet -c constraints.txt --group docs
	@touch $@

demo: $(READY) ## Watch an edit change an answer, offline
	@$(BIN)/lte-chains demo

test: $(READY) ## Run every test that needs no GPU
	$(BIN)/python -m pytest -m 'not bench and not extras and not gpu'

test-fast: $(READY) ## Run the tests that take no more than seconds
	$(BIN)/python -m pytest -m 'not slow and not bench and not extras and not gpu'

test-extras: $(READY) ## Install each extra alone in a fresh environment
	$(BIN)/python -m pytest -m extras

lint: $(READY) ## Check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict

format: $(READY) ## Apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY_DOCS) ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY) ## Run the benchmarks; the store's table and plots go into docs/
	$(BIN)/python -m pytest -m bench
	$(BIN)/python benchmarks/store.py --out docs
	@for file in $(filter-out benchmarks/store.py,$(wildcard benchmarks/*.py)); do \
		echo "== $$file"; $(BIN)/python $$file || exit 1; done

campaigns: $(READY) ## Kill writers and feed damaged input, for an hour or so
	$(BIN)/python -m tests.campaigns.crash --kills 500
	$(BIN)/python -m tests.campaigns.fuzz --inputs 100000

build: $(READY) ## Build the wheel and the sdist into dist/
	$(BIN)/python -m build

clean: ## Remove everything that make made
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
