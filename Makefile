# `make results`, `make status` and `make test` set up what they need in .venv.
PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: results status test check docs clean
.DELETE_ON_ERROR:

results: .venv/run-installed
	$(BIN)/snakemake all --quiet rules host
	$(BIN)/snakemake --quiet rules host progress --report results/report.html
	@$(BIN)/python -m dwf_steps.cli.results

# Targets and options of the run in question: make status ARGS="--configfile configs/mnist.yaml"
status: .venv/run-installed
	@$(BIN)/python -m dwf_steps.cli.status $(ARGS)

test: .venv/dev-installed
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: .venv/dev-installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --quiet all --lint
	@$(MAKE) --no-print-directory docs

# The documentation, in results/site; a warning fails.
docs: .venv/dev-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed, $$($(PYTHON) --version) was found;" \
	  "name another with make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run-installed: envs/requirements.txt envs/constraints.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet -r envs/requirements.txt -c envs/constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/dev-installed: envs/requirements-dev.txt .venv/run-installed
	$(BIN)/python -m pip install --quiet -r envs/requirements-dev.txt -c envs/constraints.txt
	touch $@

clean:
	if [ -d results ]; then chmod -R u+w results; fi
	rm -rf .venv results .snakemake
