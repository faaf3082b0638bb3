# All set-up is done here: `make demo` and `make test` work on a fresh Debian machine with python3, make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint docs bench furniture testmodels setup clean

demo: setup
	$(BIN)/python examples/demo.py

# A file of tests is run by one process, each of which computes on one thread; there is one more than cores, for some
# tests wait. Files are begun in the order of tests/conftest.py.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(shell expr $$(nproc) + 1) --maxprocesses 8 \
	  --dist loadfile --no-loadscope-reorder
	$(MAKE) docs

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/sphinx-build -q -W --keep-going docs out/docs

bench: setup
	$(BIN)/python -m benchmarks render

# 820 models, 120 MB, that some tests and docs/figures/voxels.py use: they skip without.
furniture:
	test -d /usr/share/sweethome3d/furniture || \
	  $(if $(filter 0,$(shell id -u)),,sudo) apt-get install -y --no-install-recommends sweethome3d-furniture

# Models of many programs, valid and broken ones, that one test reads: it skips without.
testmodels:
	test -d /usr/share/assimp/models || \
	  $(if $(filter 0,$(shell id -u)),,sudo) apt-get install -y --no-install-recommends assimp-testmodels

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/setup.sh
	touch $@

clean:
	rm -rf $(VENV) build dist out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
