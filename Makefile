# LoopLab's gate, the same for a person and for CI. `make` alone lists the targets.
#
# PYTHON  the interpreter that makes the environment (3.11 or newer)
# VENV    the environment's folder; `make test VENV=` makes none and uses PYTHON as it is
# ARGS    more words for the command, e.g. make compare ARGS="seeds=5"
# JOBS    processes that run tests

PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
ARGS ?=

# One torch thread per process: more make small networks slower, the more the busier the machine.
export OMP_NUM_THREADS ?= 1

ifeq ($(strip $(VENV)),)
RUN := $(PYTHON)
STAMP :=
else
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed
endif

# The console script of the interpreter that has the package.
LOOPLAB = "$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("scripts"))')"/looplab
FIRST_LOOK := results/first_look/report.html
TYPED := envs agents oversight experiments looplab/__init__.py looplab/py.typed
MIRROR := build/types/looplab

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup compare test check format types bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## make the environment and install LoopLab into it, when something changed

# The stamp is written last, so that an interrupted installation is taken up again.
$(VENV)/.installed: pyproject.toml setup.py constraints.txt
	@echo "Installing LoopLab into $(VENV) (a few minutes the first time)"
	test -x $(RUN) && $(RUN) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

compare: $(STAMP) ## train, compare and report the first experiment (about five minutes)
	$(LOOPLAB) compare experiment=first_look $(ARGS)
	$(if $(findstring out=,$(ARGS)),,@echo "The report: $(CURDIR)/$(FIRST_LOOK)")

test: check ## every check and every test, the slow ones too
	$(RUN) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

check: $(STAMP) ## format, lint and types; import directions are a test
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	@$(MAKE) --no-print-directory types

format: $(STAMP) ## rewrite the code in the house format and mend what can be mended
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

# mypy sees the rooms only where they lie under looplab: links, or copies where links do not work.
types: $(STAMP) ## mypy --strict on the whole package, through a mirror in build/types
	@mkdir -p $(MIRROR)
	@for part in $(TYPED); do \
	  link=$(MIRROR)/$$(basename $$part); \
	  if [ ! -L $$link ]; then rm -rf $$link; ln -s ../../../$$part $$link 2>/dev/null || true; fi; \
	  if [ ! -e $$link ]; then rm -f $$link; cp -R $$part $$link || exit 1; fi; \
	done
	$(RUN) -m mypy

bench: $(STAMP) ## the speed of overseen training against plain training
	$(LOOPLAB) bench $(ARGS)

clean: ## remove builds and caches; results and the environment stay
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache looplab.egg-info
