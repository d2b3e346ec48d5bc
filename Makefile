# Two commands do everything on a fresh machine: `make run` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
# Measuring made a part of the suite take 55 to 95 % more wall time; `make test COVERAGE=` goes without.
COVERAGE ?= --cov --cov-report=

.PHONY: help run test test-slow test-postgres check format bench clean

help:
	@echo "make run     set up and run it all on 127.0.0.1:8000 (PORT=… for another)"
	@echo "make test    set up and run the tests"
	@echo "make test-slow  the proofs that take minutes: kills, outages, many machines, all on PostgreSQL"
	@echo "make check   ruff, mypy, import-linter, migrations"
	@echo "make format  let ruff correct and format the Python files"
	@echo "make bench   the benchmarks, one JSON line per figure (BENCH=name for one; see bench/README.md)"
	@echo "make clean   remove the virtual environment and caches; var/ is yours and stays"

run: $(VENV)/run.stamp
	@echo "starting racepoll"
	@exec $(BIN)/python manage.py up

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n $(JOBS) $(COVERAGE)

test-slow: $(VENV)/dev.stamp test-postgres
	@$(BIN)/python -m pytest -m slow -n $(JOBS)

# What touches the database, once more on a PostgreSQL that the tests bring along.
test-postgres: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -p tests.on_postgres -n $(JOBS) tests/polling tests/races tests/admin tests/appwrite

check: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run
	@DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py check

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m bench $(BENCH)

# A half-made environment has no pip; it is made again.
$(VENV)/bin/pip:
	@echo "making $(VENV) (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "racepoll needs Python 3.11 or newer" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "install the package python3-venv (apt-get install python3-venv)" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)

$(VENV)/run.stamp: requirements.txt | $(VENV)/bin/pip
	$(call install,requirements.txt)
	@touch $@

$(VENV)/dev.stamp: requirements.txt requirements-dev.txt | $(VENV)/bin/pip
	$(call install,requirements-dev.txt)
	@touch $@ $(VENV)/run.stamp

# One line per package, so that the screen is not silent for minutes; the shell's pipe ends with pip's exit code.
define install
	@echo "installing the packages of $(1) (once; a minute or two)"
	@set -o pipefail; began=$$SECONDS; \
	$(BIN)/python -u -m pip install --disable-pip-version-check --no-input --progress-bar off -r $(1) \
	    | sed -u -n -e 's/^Collecting \([^ ]*\).*/  fetching \1/p' -e 's/^Installing collected packages:.*/  unpacking/p' \
	    && echo "  done after $$((SECONDS - began)) s"
endef

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
