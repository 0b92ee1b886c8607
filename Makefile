# make demo · make test · make lint · make benchmark
# The first call installs everything that is needed into .venv, from pinned requirements with hashes.

SHELL := /bin/bash
PYTHON ?= python3
CORES ?= all
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Freed memory is kept for the next array; see workflow/rules/cohort.smk.
export MALLOC_MMAP_MAX_ ?= 0
export MALLOC_TRIM_THRESHOLD_ ?= 100000000000

.PHONY: demo test lint benchmark envs locks docs clean

demo: .venv/osteoray.lock
	$(BIN)/snakemake --cores $(CORES) --quiet host reason

test: .venv/dev.lock
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/dev.lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

benchmark: .venv/dev.lock
	OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1 $(BIN)/python benchmarks/renderers.py
	$(BIN)/python benchmarks/registration.py
	$(BIN)/python benchmarks/simulation.py
	$(BIN)/python benchmarks/calibration.py
	$(BIN)/python benchmarks/ingest.py

# Generated files: tests fail when they drift.
envs: .venv/dev.lock
	$(BIN)/python scripts/dev/make_envs.py

docs: .venv/dev.lock
	$(BIN)/python scripts/dev/make_reference.py

locks:
	$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet uv
	build/uv/bin/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate requirements/dev.in -o requirements/dev.lock
	for name in osteoray learning imaging; do \
		build/uv/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			--no-annotate -c requirements/dev.lock requirements/$$name.in -o requirements/$$name.lock; done
	build/uv/bin/uv pip compile -q --upgrade --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--no-annotate requirements/totalsegmentator.in -o requirements/totalsegmentator.lock

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "osteoray needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "Installing python3-venv, which Debian ships apart"; \
		$$(command -v sudo) apt-get update -qq && $$(command -v sudo) apt-get install -y -qq python3-venv \
		&& $(PYTHON) -m venv .venv; }

# A copy of the lock file in .venv says what is installed.
.venv/%.lock: requirements/%.lock .venv/bin/python
	@echo "Installing $< into .venv (about 5 GB; one to five minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --require-hashes -r $<
	@echo "$(CURDIR)/src" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/osteoray.pth"
	@cp $< $@

clean:
	rm -rf .venv build .snakemake .pytest_cache .ruff_cache .mypy_cache results
