# The two commands: `make up` runs everything on this machine, `make test` proves it works.
# Both install what they need into .venv first; nothing needs root.
SHELL := bash
.SHELLFLAGS := -o pipefail -c
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SOAK_MINUTES ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
WHEELS := install --only-binary :all: --require-hashes --progress-bar off
export SOAK_MINUTES
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install install-dev up test check bench soak lock prerequisites clean moved

help:
	@echo "make up      install, then run everything on this machine   (options: make up ARGS=\"--replay FOLDER\")"
	@echo "make test    install, then run the tests"
	@echo "make check   format, lint, types, import rules, migrations"
	@echo "make bench   the figures, each beside its ceiling"
	@echo "make soak    the long counts                                (SOAK_MINUTES=10 make soak)"

# What is missing is named before anything is downloaded.
prerequisites:
	@command -v "$(PYTHON)" >/dev/null \
	  || { echo "ssmd needs Python 3.11 or newer; there is no '$(PYTHON)'. On Debian: apt install python3 python3-venv; elsewhere: make PYTHON=/path/to/python3.11" >&2; exit 6; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "ssmd needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1). Name another: make PYTHON=/path/to/python3.11" >&2; exit 6; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "ssmd needs Python's venv module. On Debian: apt install python3-venv" >&2; exit 6; }
	@command -v git >/dev/null \
	  || { echo "ssmd needs git. On Debian: apt install git" >&2; exit 6; }

# The stamps name the folder that they were made for: an environment that was moved is made anew.
ifneq ($(shell cat .venv/.run 2>/dev/null),$(CURDIR))
.venv/.run: moved
endif
moved:

# One line for pip's hundred, rewritten in place on a terminal.
COUNT = { n=0; while IFS= read -r line; do case "$$line" in \
	  Collecting*|"Requirement already satisfied"*) n=$$((n+1)); \
	    if [ -t 1 ]; then printf '\r  %d of %d packages' $$n $(1); elif [ $$((n % 25)) = 0 ]; then echo "  $$n of $(1) packages"; fi;; \
	  "Installing collected"*) [ -t 1 ] && echo; echo "  writing files ...";; \
	  ERROR*|*rror:*) echo "$$line" >&2;; esac; done; }
PACKAGES = $$(grep -c '==' $(1))

# `.installing` stays behind when an installation is cut off; what is half there is not trusted again.
.venv/.run: requirements.lock pyproject.toml | prerequisites
	@if [ -e .venv ] && { [ -e .venv/.installing ] || [ "$$(cat .venv/.home 2>/dev/null)" != "$(CURDIR)" ]; }; then \
	  echo "The installation in .venv was cut off or moved here: making it anew ..."; rm -rf .venv; fi
	@test -x $(BIN)/python || { echo "Making .venv ..."; mkdir -p .venv && touch .venv/.installing && "$(PYTHON)" -m venv .venv; }
	@touch .venv/.installing
	@echo "Installing into .venv (a minute or two the first time) ..."
	@$(PIP) $(WHEELS) -r requirements.lock | $(call COUNT,$(call PACKAGES,requirements.lock))
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@printf '%s' "$(CURDIR)" > .venv/.home
	@rm .venv/.installing
	@printf '%s' "$(CURDIR)" > $@

.venv/.dev: requirements-dev.lock .venv/.run | prerequisites
	@touch .venv/.installing
	@echo "Installing the test tools into .venv ..."
	@$(PIP) $(WHEELS) -r requirements-dev.lock | $(call COUNT,$(call PACKAGES,requirements-dev.lock))
	@rm .venv/.installing
	@touch $@

install: .venv/.run
install-dev: .venv/.dev

# The launcher passes on the end of `make` itself, even by SIGKILL.
up: .venv/.run
	@exec $(BIN)/python -I -S ssmd/runtime/launcher.py TERM $(BIN)/ssmd up $(ARGS)

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

# pytest answers 5 when no test is marked so.
soak: .venv/.dev
	@$(BIN)/python -m pytest -m soak $(ARGS); code=$$?; [ $$code = 5 ] || exit $$code

lock: .venv/.dev
	@$(BIN)/uv pip compile pyproject.toml --extra embedded --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --only-binary :all: --upgrade -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --only-binary :all: --upgrade -c requirements.lock -o requirements-dev.lock

clean:
	@rm -rf .venv build *.egg-info
