# Everything that a contributor runs. `make demo` and `make test` each work alone on a fresh
# machine with Python 3.11 and make; run again, they are quick.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Where pip finds torch on a machine without CUDA (empty: pip's own index); see README.md.
TORCH_INDEX ?=
SCALE ?= demo
SEEDS ?= 3

.PHONY: help setup demo test format format-fix lint types imports unit fuzz mutants bench \
	hand-asset starting-weights lock clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 20

setup: $(INSTALLED)  ## Create the virtual environment with the locked versions

$(INSTALLED): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --index-url $(TORCH_INDEX) $$(grep '^torch==' requirements.lock))
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup  ## Measure Tables 4 and 5 in miniature on the embedded benchmark, through Ray
	$(BIN)/s2hand data make synthetic --size $(SCALE) --seed 0
	$(BIN)/s2hand run table4 --data synthetic --scale $(SCALE) --seeds $(SEEDS)
	$(BIN)/s2hand run table5 --data synthetic --scale $(SCALE) --seeds $(SEEDS)
	$(BIN)/s2hand report table4 table5 --data synthetic --scale $(SCALE)

test: setup format lint types imports unit  ## What must pass before a change lands

format: setup  ## Check the formatting (`make format-fix` writes it)
	$(BIN)/ruff format --check .

format-fix: setup  ## Format the code
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lint: setup  ## Lint
	$(BIN)/ruff check .

types: setup  ## Check the types
	$(BIN)/mypy

imports: setup  ## Check the import contracts
	$(BIN)/lint-imports

unit: setup  ## Run the tests; threads that wait must not spin, or they slow each other down
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q

fuzz: setup  ## Give every reader of files 10,000 changed ones: an hour or more
	$(BIN)/python -m pytest -q -m fuzz --hypothesis-profile=fuzz --timeout=0

mutants: setup  ## Count which changes the tests notice: MODULES="s2hand/losses …", or a night
	$(BIN)/python -m tools.mutants $(MODULES)

bench: setup  ## Run the benchmarks: ratios, measured in one run
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

hand-asset: setup  ## Build the embedded hand again
	$(BIN)/python -m tools.embedded_hand

starting-weights: setup  ## Train the starting weights again, into the workspace: hours, resumable
	$(BIN)/s2hand data make synthetic --size pretraining
	$(BIN)/s2hand data make synthetic --size compact
	$(BIN)/s2hand weights build hands
	$(BIN)/s2hand weights build s2hand

lock: setup  ## Write requirements.lock from what the environment holds
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^\(torch==[0-9.]*\)+.*/\1/' > requirements.lock

clean:  ## Remove the environment and the caches; results in workspace/ stay
	rm -rf $(VENV) .mutants .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
