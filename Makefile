# The two commands: `make up` runs everything on this machine, `make test` proves it works.
# Both install what they need into .venv first; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help install install-dev up test check bench soak lock prerequisites clean

help:
	@echo "make up      install, then run everything on this machine   (options: make up ARGS=\"--speed 10\")"
	@echo "make test    install, then run the tests"
	@echo "make check   format, lint, types, import rules, migrations"
	@echo "make bench   the figures, each beside its ceiling"
	@echo "make soak    the long counts                                (SOAK_MINUTES=10 make soak)"

# What is missing is named before anything is downloaded.
prerequisites:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "ssmd needs Python 3.11 or newer as '$(PYTHON)'. On Debian: apt install python3; elsewhere: make PYTHON=/path/to/python3.11" >&2; exit 6; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "ssmd needs Python's venv module. On Debian: apt install python3-venv" >&2; exit 6; }
	@command -v git >/dev/null \
	  || { echo "ssmd needs git. On Debian: apt install git" >&2; exit 6; }

.venv/.run: requirements.lock pyproject.toml | prerequisites
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@echo "Installing into .venv (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.run | prerequisites
	@echo "Installing the test tools into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r requirements-dev.lock
	@touch $@

install: .venv/.run
install-dev: .venv/.dev

up: .venv/.run
	@exec $(BIN)/ssmd up $(ARGS)

test: .venv/.dev
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not soak" $(ARGS)

check: .venv/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/mypy
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check

bench: .venv/.dev
	@$(BIN)/ssmd bench all $(ARGS)

soak: .venv/.dev
	@$(BIN)/python -m pytest -m soak $(ARGS)

lock: .venv/.dev
	@$(BIN)/uv pip compile pyproject.toml --extra embedded --extra postgres --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --only-binary :all: --upgrade -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --only-binary :all: --upgrade -c requirements.lock -o requirements-dev.lock

clean:
	@rm -rf .venv build *.egg-info
