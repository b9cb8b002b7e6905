# Everything is one word: `make demo`, `make test`. Each does its own set-up: Debian packages (tests/setup-system.sh),
# a virtual environment in .venv, the C parts. What is there already is not done again.

PYTHON ?= python3
SCALE ?= 1
# How many tests at a time: a file of the lab's is one worker's as a whole, and each worker has labs of its own.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin

INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built
MANUAL := $(VENV)/share/man/man1/exitpin.1
PACKAGING := $(wildcard setup.cfg setup.py pyproject.toml)
SHIM := $(wildcard shim/*.c shim/*.h shim/*.py shim/*.map shim/*/*.c shim/*/*.h shim/*/*.map)
TYPED := build/typed/exitpin

export PYTHON
# Whatever the caller's environment says: hundreds of starts are not worth compiling the same modules for.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types unit lab torture leaks bench clean packages

help: ## Show what there is to make
	@awk -F ' ## ' '/^[a-z]+:.* ## / { sub(/:.*/, "", $$1); printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## Start a private Tor network with honest, broken and hostile exits, audit them all, and show the planted truth beside it
	@$(BIN)/python -m exitpin.orchestrator.lab.demo

test: lint types unit lab ## Check style and types, then run the unit tests and those on the private network

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup $(TYPED)
	MYPYPATH=build/typed $(BIN)/mypy -p exitpin

unit: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m "not lab and not slow and not torture"

lab: setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "(lab or slow) and not torture"

torture: setup ## Chaos, kills and seeds; SCALE=0.25 for a quarter of it
	EXITPIN_TORTURE_SCALE=$(SCALE) $(BIN)/python -m pytest -m torture tests/torture
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m torture tests/lab

leaks: setup ## Try every way out, under each level, torsocks and proxychains; ARGS="--level shim --vector udp"
	PYTHONPATH=tests $(BIN)/python -m leaks.run $(ARGS)

bench: setup ## Measure start-up, pinning and load, and print the figures
	$(BIN)/python tests/bench/run.py

setup: packages $(BUILT) $(MANUAL) ## Only the set-up that all of the others begin with

clean: ## Remove all that make made, the virtual environment included
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f shim/exitpin-launch shim/*.so shim/*.o shim/*/*.o shim/_bindings.c
	find . -name __pycache__ -prune -exec rm -rf {} +

packages:
	@sh tests/setup-system.sh

# An environment that was interrupted half-way has no pip that runs: begin it anew.
$(INSTALLED): $(PACKAGING) | packages
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

# An installation builds the C parts; after a change of theirs alone they are built in place, without asking an index.
ifeq ($(wildcard shim/exitpin-launch),)
$(BUILT): lost
.PHONY: lost
endif
$(BUILT): $(INSTALLED) $(SHIM)
	$(if $(filter $(INSTALLED),$?),,$(BIN)/python setup.py --quiet build_ext --inplace build_scripts --build-dir $(BIN))
	@touch $@

# Found by `man` when $(BIN) is in PATH.
$(MANUAL): $(BUILT) $(wildcard orchestrator/cli/*.py)
	$(BIN)/python -m exitpin.orchestrator.cli.manual $(@D)

# The package `exitpin` is spread over the top-level folders; mypy wants to see it as one.
$(TYPED): $(PACKAGING)
	@mkdir -p $@
	@ln -sfn $(addprefix ../../../,$(wildcard orchestrator/_root/*.py) orchestrator wrappers shim) $@/
	@touch $@
