# Every target does the set-up it needs; a second run starts at once. Works with GNU make 3.81 (macOS) and later.
#   make PYTHON=/path/to/python3.12 demo      another interpreter
#   make test ARGS="-k signatures -x"         arguments for pytest

PYTHON ?=
ARGS   ?=
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOG    := $(VENV)/install.log
EXTRAS := train,attest,detect,hf,remote,warc,export,bench,dev

# Small models with two OpenMP threads on a busy machine spin instead of computing.
export OMP_NUM_THREADS  := 1
export OMP_WAIT_POLICY  := passive
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test check bench clean

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

setup: $(STAMP) ## make .venv and install everything that is pinned in constraints.txt

demo: $(STAMP) ## run the whole path on the embedded corpus: ingest, mix, train, report
	@$(BIN)/python -m provenance.demo.run

test: $(STAMP) ## run the whole test suite
	@$(BIN)/python -m pytest -n 2 $(ARGS)

check: $(STAMP) ## lint, format and types
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy

bench: $(STAMP) ## speed beside datasketch and rensa, ingest of 1 GB, what deduplication finds, mixes of 1 to 10 million
	@$(BIN)/python scripts/bench_signatures.py
	@$(BIN)/python scripts/bench_ingest.py --peers
	@$(BIN)/python scripts/bench_dedup.py quality
	@$(BIN)/python scripts/bench_dedup.py bucket
	@$(BIN)/python scripts/bench_dedup.py planted
	@$(BIN)/python scripts/bench_mix.py
	@$(BIN)/python scripts/bench_loader.py
	@$(BIN)/python scripts/bench_detector.py
	@$(BIN)/python scripts/bench_laundering.py
	@$(BIN)/python scripts/bench_evidence.py

clean: ## remove caches, build results and output of the demo and of experiments (not .venv)
	@rm -rf build dist demo-output experiments-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -type d -name __pycache__ -exec rm -rf {} +

# The interpreter: PYTHON if given, else the first of these that is new enough. Packages that come as sources are built by
# the pinned setuptools: the one that a new environment holds may be too old for them.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	new_enough() { "$$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }; \
	if ! { new_enough $(BIN)/python && $(BIN)/python -m pip --version >/dev/null 2>&1; }; then \
	  found=; \
	  for candidate in $(if $(PYTHON),"$(PYTHON)",python3 python3.14 python3.13 python3.12 python3.11); do \
	    if new_enough "$$candidate"; then found="$$candidate"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "Python 3.11 or newer is needed, found: $$($(or $(PYTHON),python3) --version 2>&1 || true)." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(or $(MAKECMDGOALS),setup)" >&2; \
	    exit 1; \
	  fi; \
	  "$$found" -m venv --clear $(VENV) || { \
	    echo "'$$found -m venv' failed; on Debian and Ubuntu it needs the package python3-venv." >&2; exit 1; }; \
	fi; \
	echo "Installing the pinned packages into $(VENV) (once; takes some minutes, log: $(LOG))" >&2; \
	{ $(BIN)/python -m pip install -c constraints.txt hatchling setuptools && \
	  $(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[$(EXTRAS)]'; } >$(LOG) 2>&1 || { \
	    cat $(LOG) >&2; \
	    echo "The installation failed: the reason stands above. Run the same make command again once it is mended." >&2; \
	    exit 1; }; \
	touch $(STAMP)
