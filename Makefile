# A fresh clone needs Python 3.11 or newer and make; everything else is fetched into .venv.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000
SYNC := --quiet --frozen --inexact --compile-bytecode

# What is started hundreds of times, as the tests do, is compiled once, even where Python was told not to keep that.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint suite second torture mutate audit bench bench-large dist screenshots reference clean

demo: .venv/bin/minwallet
	@$(BIN)/minwallet demo --port $(PORT)

test: .venv/ready
	$(MAKE) --no-print-directory lint suite second

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two at a time, and the tests of a file one after the other, since they share a server or a browser; in the order of
# tests/conftest.py.
PYTEST := pytest -n 2 --dist loadfile --no-loadscope-reorder
COVERED := tests/ledger tests/protocols

# The tests of these rooms cover all of them; measuring that slows tests down, so the others go without.
suite: .venv/ready
	$(BIN)/$(PYTEST) --cov --cov-report=term-missing:skip-covered $(COVERED)
	$(BIN)/$(PYTEST) $(COVERED:%=--ignore=%)

# The suite again on another supported Python, where the machine has one; but what takes long runs once.
second: .venv/ready
	@other=$$($(BIN)/python tests/pythons.py --other | head -n 1 | cut -d " " -f 2-); \
	if [ -z "$$other" ]; then echo "no second supported Python found; tested on one"; else \
	  echo "and again on $$other"; \
	  UV_PROJECT_ENVIRONMENT=.venv-second $(BIN)/uv sync $(SYNC) --no-python-downloads --python "$$other" && \
	  .venv-second/bin/$(PYTEST) -m "not long"; fi

# TORTURE are options: make torture TORTURE='--share 0.1', or '--only kill --size 200 --seed 7'.
torture: .venv/ready
	$(BIN)/uv sync $(SYNC) --group torture
	$(BIN)/python -m tests.faults.torture $(TORTURE)

# Whether a test notices each change that can be made to the rules of money; a handful cannot be noticed.
mutate: .venv/ready
	$(BIN)/uv sync $(SYNC) --group mutation
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# Whether a locked library, also of those that only test, has a known hole. What cannot be looked up is a failure, too.
audit: .venv/ready
	$(BIN)/uv export --quiet --frozen --no-emit-project --all-groups --output-file .venv/locked.txt >/dev/null
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement .venv/locked.txt

# BENCH are options: make bench BENCH='--only growth --rounds 1'; BENCH=--help lists them.
bench: .venv/ready
	$(BIN)/uv sync $(SYNC) --group bench
	$(BIN)/python -m tests.bench.run $(BENCH)

bench-large: .venv/ready
	$(BIN)/python -m tests.bench.run_large $(BENCH)

# The wheel, and the program as one file, with its libraries for each supported Python found here. It depends on the
# sources, uv.lock and the versions of Python alone, to the byte; all in it is as old as a zip can tell, of 1980.
dist: export SOURCE_DATE_EPOCH := 315532800
dist: .venv/ready
	rm -rf build dist
	$(BIN)/uv build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist
	@$(BIN)/python tests/pythons.py | while read -r version python; do \
	  echo "with the libraries for Python $$version" && \
	  UV_PROJECT_ENVIRONMENT=build/py$$version $(BIN)/uv sync --quiet --frozen --no-dev --no-install-project \
	    --no-python-downloads --python "$$python" && \
	  $(BIN)/uv pip install --quiet --no-deps --no-cache --no-index --find-links dist \
	    --python build/py$$version minwallet || exit 1; done
	PEX_EMIT_WARNINGS=0 $(BIN)/pex $$(printf -- "--venv-repository %s " build/py*) minwallet --console-script minwallet \
	  --venv prepend --sh-boot --no-compile --output-file dist/minwallet

# The README's pictures, of this code; needs a browser.
screenshots: .venv/ready
	$(BIN)/python -m tests.screenshots

# The commands and settings as the program has them; a test sees whether this was forgotten.
reference: .venv/ready
	$(BIN)/python -m tests.docs.reference > docs/reference.md

# What runs the program, and with it what tests it.
.venv/bin/minwallet: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync $(SYNC) --no-dev
	@touch $@

.venv/ready: .venv/bin/minwallet
	$(BIN)/uv sync $(SYNC)
	@touch $@

clean:
	rm -rf .venv .venv-second build dist mutants .mypy_cache .ruff_cache .hypothesis .coverage
