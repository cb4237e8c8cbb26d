# make repro   everything from an empty checkout to the report; a second call runs nothing
# make test    lint, types, import contracts, unit, end-to-end and reference tests
# make ui      the MLflow pages of your runs, on 127.0.0.1

SHELL := /bin/bash
PYTHON ?= python3
WORKERS ?= $(shell nproc 2>/dev/null || echo 2)
UV_VERSION := 0.13.8
BIN := .venv/bin
PACKAGES := packages/data packages/encoders packages/fusion packages/eval studies

# Nothing here calls home, and nothing writes outside this folder.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export RAY_USAGE_STATS_ENABLED := 0
export HF_HUB_DISABLE_TELEMETRY := 1
# Every step is a process of its own: without cached bytecode each would compile 4,000 modules anew.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: install repro test test-system lint bench ui notebook lock clean
.DEFAULT_GOAL := repro

install: $(BIN)/.installed

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(BIN)/.installed: $(BIN)/uv requirements.lock $(PACKAGES:=/pyproject.toml)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	@touch $@

# The stages of DVC, but those that would import the same for minutes, once each, are computed together first.
repro: install
	dvc repro --quiet index
	blended features extract --all --workers $(WORKERS)
	dvc repro --quiet plan
	blended train --all --workers $(WORKERS)
	dvc repro
	@blended runs

lint: install
	ruff check .
	ruff format --check .
	pyright
	lint-imports

test: lint
	pytest -m "not system" -n 2 --dist loadfile --no-loadscope-reorder

test-system: install
	pytest -m system

bench: install
	@for name in thresholds folds official_procedure; do echo "== $$name"; python benchmarks/$$name.py || exit 1; done

ui: install
	blended ui

notebook: install
	TQDM_DISABLE=1 jupyter execute --inplace docs/notebook.ipynb

lock: $(BIN)/uv
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate --quiet \
	  --python-version 3.11 $(foreach name,data encoders fusion eval studies,--no-emit-package blended-$(name)) \
	  --all-extras --group pyproject.toml:dev $(PACKAGES:=/pyproject.toml) -o requirements.lock

clean:
	rm -rf data runs report mlflow
