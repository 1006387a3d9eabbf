# The line after ## beside a target is what `make help` prints.

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin

.PHONY: run test test-instruction-sets bench docs format clean help

run: .venv/installed ## install the pinned dependencies into .venv and run the default study
	$(BIN)/snakemake --cores all --resources gpu=1

# A process more than there are cores: the tests on SLURM mostly wait.
test: .venv/installed ## the same set-up, then all tests, in at most five processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadscope --no-loadscope-reorder \
		--numprocesses $$(n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n + 1 : 5)))

test-instruction-sets: .venv/installed ## the tests of numbers under every instruction set this processor has
	$(BIN)/python tests/instruction_sets.py

bench: .venv/installed .bench-packages/installed ## time it beside its alternatives; BENCH="--only similarity" chooses
	$(BIN)/python -m bench.run $(BENCH)

# Alternatives to compare with: never among the packages that tending itself runs with.
.bench-packages/installed: .venv/installed bench/requirements.txt
	rm -rf .bench-packages && mkdir .bench-packages
	$(BIN)/python -m pip install --quiet --no-deps --target .bench-packages --requirement bench/requirements.txt
	touch $@

docs: .venv/docs-installed ## build the documentation site into docs/_build/html
	rm -rf docs/_build
	$(BIN)/python -m sphinx -b html -W --keep-going --quiet docs docs/_build/html
	@echo "The site is docs/_build/html/index.html"

# Sphinx is wanted for the site alone, so that a run or the tests do not install it.
.venv/docs-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[docs]'
	touch $@

format: .venv/installed ## lint and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

.venv/installed: pyproject.toml constraints.txt
	@case "$(CURDIR)" in *" "*) echo "the path $(CURDIR) has a space in it, with which Snakemake cannot start jobs; move the checkout" >&2; exit 1;; esac
	@test -n "$(PYTHON)" || { echo "tending needs Python 3.11 to 3.13; install one, or name it: make run PYTHON=..." >&2; exit 1; }
	@echo "Installing the pinned dependencies into .venv; this takes a few minutes the first time."
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[test]'
	touch $@

clean: ## remove what was installed and built; results stay
	rm -rf .venv .bench-packages docs/_build docs/api

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-22s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
