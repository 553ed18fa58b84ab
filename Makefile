# A fresh clone needs Python 3.11 or newer and make. Everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
SYNC := --quiet --frozen --inexact --compile-bytecode

# The tests start the program hundreds of times, so bytecode is cached even if the environment forbids it.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint format test-unit test-other-python test-with-orbit torture mutation-test audit-deps
.PHONY: bench bench-large dist screenshots reference clean

# PORT and PROVIDER_PORT choose the ports: make demo PORT=9000 PROVIDER_PORT=9100
demo: .venv/bin/minwallet
	@$(BIN)/minwallet demo $(if $(PORT),--port $(PORT)) $(if $(PROVIDER_PORT),--provider-port $(PROVIDER_PORT))

test: .venv/ready
	$(MAKE) --no-print-directory lint test-unit test-other-python

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# Run test files in parallel; the tests of one file share a server or a browser. tests/conftest.py sets the order.
# Most tests wait for the disk or for a process more than half of the time, so two processors serve four workers.
WORKERS ?= 4
PYTEST := pytest --dist loadfile --no-loadscope-reorder
COVERED := tests/ledger tests/protocols

# Only the pure packages require full coverage. Measuring coverage slows tests down, so the others run without it. The
# tests of the pure packages only calculate.
test-unit: .venv/ready
	$(BIN)/$(PYTEST) -n 2 --cov --cov-report=term-missing:skip-covered $(COVERED)
	$(BIN)/$(PYTEST) -n $(WORKERS) $(COVERED:%=--ignore=%)

# Run the tests on another supported Python, if the machine has one. Tests marked `long` run only once.
test-other-python: .venv/ready
	@other=$$($(BIN)/python tests/pythons.py --other | head -n 1 | cut -d " " -f 2-); \
	if [ -z "$$other" ]; then echo "no second supported Python found; tested on one"; else \
	  echo "and again on $$other"; \
	  UV_PROJECT_ENVIRONMENT=.venv-second $(BIN)/uv sync $(SYNC) --no-python-downloads --python "$$other" && \
	  .venv-second/bin/$(PYTEST) -n $(WORKERS) -m "not long"; fi

# Run all tests with the example of a protocol package installed, in an environment of its own.
test-with-orbit: .venv/ready
	UV_PROJECT_ENVIRONMENT=.venv-orbit $(BIN)/uv sync $(SYNC) --python $(BIN)/python
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --reinstall --python .venv-orbit/bin/python \
	  sample_data/orbit
	.venv-orbit/bin/$(PYTEST) -n $(WORKERS)

# Fault injection at full size. TORTURE passes options: make torture TORTURE='--share 0.1', or '--only kill --size 200 --seed 7'.
torture: .venv/ready
	$(BIN)/uv sync $(SYNC) --group torture
	$(BIN)/python -m tests.faults.torture $(TORTURE)

# Change each rule of the ledger in turn and check that a test fails. A few mutants are equivalent to the original.
mutation-test: .venv/ready
	$(BIN)/uv sync $(SYNC) --group mutation
	rm -rf mutants
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# Check all locked libraries, development ones included, for known vulnerabilities. A failed lookup is a failure.
audit-deps: .venv/ready
	$(BIN)/uv export --quiet --frozen --no-emit-project --all-groups --output-file .venv/locked.txt >/dev/null
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement .venv/locked.txt

# BENCH passes options: make bench BENCH='--only growth --rounds 1'; BENCH=--help lists them.
bench: .venv/ready
	$(BIN)/uv sync $(SYNC) --group bench
	$(BIN)/python -m tests.bench.run $(BENCH)

bench-large: .venv/ready
	$(BIN)/python -m tests.bench.run_large $(BENCH)

# Build the wheel and the single-file program, with libraries for each supported Python found on this machine.
# The build is reproducible: the bytes depend only on the sources, uv.lock and the Python versions. Every file in it
# has the oldest date that a zip archive can store (1980).
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

# Take the README's screenshots again; needs a browser.
screenshots: .venv/ready
	$(BIN)/python -m tests.screenshots

# Generate the reference of commands and settings from the program. A test fails if the page is out of date.
reference: .venv/ready
	$(BIN)/python -m tests.docs.reference > docs/reference.md

# The first target installs what runs the program, the second what tests it.
.venv/bin/minwallet: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync $(SYNC) --no-dev
	@touch $@

.venv/ready: .venv/bin/minwallet
	$(BIN)/uv sync $(SYNC)
	@touch $@

clean:
	rm -rf .venv .venv-second .venv-orbit build dist mutants .mypy_cache .ruff_cache .hypothesis .coverage
