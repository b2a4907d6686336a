# `make demo` and `make test` need python3 (3.11 or newer), make and a package index; everything else they set up in $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PLATFORMS := linux darwin win32

# A virtual environment or a path of the caller must not reach into ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.DELETE_ON_ERROR:
.PHONY: help demo test docs lint format clean

help:
	@echo 'make demo     install the package into $(VENV) and run its demonstration'
	@echo 'make test     install the package and the tools into $(VENV); lint, types, fast tests'
	@echo 'make docs     build the documentation into site/, strictly: a warning is an error'
	@echo 'make lint     lint, and types as Linux, macOS and Windows have them'
	@echo 'make format   rewrite the code in the one format, and mend what can be mended by machine'
	@echo 'make clean    remove $(VENV), caches and build products'

demo: $(VENV)/installed-package
	$(BIN)/ulmfit demo

test: lint
	$(BIN)/python -m pytest

docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	for platform in $(PLATFORMS); do $(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/$$platform || exit 1; done

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) build dist site demo-model .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make reruns quick. Both installs are editable, so that either command can follow the other in the same environment.
$(VENV)/created:
	@command -v $(PYTHON) >/dev/null || { echo 'Python is needed and "$(PYTHON)" was not found. Name one: make PYTHON=/path/to/python3.11 ...'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ulmfit needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed-package: $(VENV)/created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/installed-package

$(VENV)/installed-docs: $(VENV)/created pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/installed-package
