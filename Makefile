# A fresh clone needs Python 3.11 or newer and make; everything else is fetched into .venv.
PYTHON ?= python3
BIN := .venv/bin
PORT ?= 8000

.PHONY: demo test lint suite second bench screenshots clean

demo: .venv/ready
	@$(BIN)/minwallet demo --port $(PORT)

test: .venv/ready
	$(MAKE) --no-print-directory lint suite second

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

suite: .venv/ready
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered

# The suite again on another supported Python, where the machine has one; but what takes long runs once.
second: .venv/ready
	@other=$$($(BIN)/python tests/second_python.py); \
	if [ -z "$$other" ]; then echo "no second supported Python found; tested on one"; else \
	  echo "and again on $$other"; \
	  UV_PROJECT_ENVIRONMENT=.venv-second $(BIN)/uv sync --quiet --frozen --no-python-downloads --python "$$other" && \
	  .venv-second/bin/pytest -n 2 --dist loadfile -m "not long"; fi

bench: .venv/ready
	$(BIN)/python tests/bench/run.py

# The README's pictures, of this code; needs a browser.
screenshots: .venv/ready
	$(BIN)/python -m tests.screenshots

.venv/ready: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync --quiet --frozen --inexact
	@touch $@

clean:
	rm -rf .venv .venv-second .mypy_cache .ruff_cache .hypothesis .coverage
