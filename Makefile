.DEFAULT_GOAL := help
BIN := .venv/bin
JOBS ?= 2

# One thread to a test process: linear algebra on small matrices gains nothing from more, and two workers would fight.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help setup test lint types reproduce bench simulations reference lock wheel clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with the pinned packages; nothing to do when nothing changed
	@scripts/setup

test: lint types ## lint, types, then every test (architecture and docs included)
	$(BIN)/python -m pytest -n $(JOBS)

lint: setup ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## mypy, strict, on src
	$(BIN)/mypy

reproduce: setup ## the paper's case study from the embedded counts, with its report
	$(BIN)/rctgap reproduce raman2026 --out results/raman2026

bench: setup ## speed and memory, every benchmarks/bench_*.py
	@for script in $(sort $(wildcard benchmarks/bench_*.py)); do \
		echo "$$script"; $(BIN)/python "$$script" || exit 1; done

simulations: setup ## coverage and calibration studies, seeded, about four hours on two cores; writes simulations/
	$(BIN)/python simulations/coverage.py --group analytic --trials 500
	$(BIN)/python simulations/coverage.py --group resampled --trials 100
	$(BIN)/python simulations/coverage.py --group wild --trials 60
	$(BIN)/python simulations/coverage.py --group stages --trials 150
	$(BIN)/python -P simulations/bayesian_coverage.py
	$(BIN)/python -P simulations/calibration.py
	$(BIN)/python -P simulations/rank_plots.py
	$(BIN)/python simulations/rectification.py --trials 2000
	$(BIN)/python simulations/staged.py --trials 2000 --powers 400
	$(BIN)/python -P simulations/checks.py --trials 120
	$(BIN)/python simulations/pooling.py --replicates 4000
	$(BIN)/python simulations/tables.py

reference: ## run the R scripts again that made the reference values (needs R)
	@command -v Rscript >/dev/null || { echo "Rscript was not found: install R to make the reference values again" >&2; exit 2; }
	@for script in $(sort $(wildcard tests/reference/*.R)); do \
		echo "$$script"; Rscript --vanilla "$$script" || exit 1; done

lock: ## pin what pyproject.toml asks for (needs uv; LOCK=--upgrade renews every pin)
	@command -v uv >/dev/null || { echo "uv was not found: install it to write requirements.lock" >&2; exit 2; }
	uv pip compile pyproject.toml --group dev --universal --python-version 3.12 --generate-hashes \
		--custom-compile-command "make lock" --quiet $(LOCK) --output-file requirements.lock

wheel: setup ## sdist and wheel into dist/
	$(BIN)/python -m build --no-isolation

clean: ## remove .venv, builds and caches; results/ stays
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
