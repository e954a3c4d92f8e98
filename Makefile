# make demo   train a small CNN on handwritten digits
# make test   style, types, floors, doctests and the test suite
# make stubs  write what type checkers and editors read of methods and functions
# make clean  remove what these commands made
#
# Both commands make .venv on their first run and reuse it afterwards.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; \
	done)
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: demo test lint types stubs clean

demo: $(VENV)/.installed-demo
	$(BIN)/python examples/demo.py

test: lint types
	$(BIN)/python -m pytest -q -n $(WORKERS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/basedpyright --pythonpath $(BIN)/python

stubs: $(VENV)/.installed-test
	$(BIN)/python tools/stubs.py

clean:
	rm -rf $(VENV) demo-output build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[viz,data]'
	touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/pip
	$(BIN)/python -m pip install --quiet --editable '.[viz,data,test]'
	touch $@
