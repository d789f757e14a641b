# The one door to everything: set up, check, test, run. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
UV := $(shell grep -om1 '^uv==[0-9.]*' requirements.lock)
BIN := .venv/bin
STAMP := .venv/.set-up
# Kubeflow's compiler wants older protobuf and kubernetes than the rest: it has an environment and a lock of its own.
KUBEFLOW := .venv-kubeflow

# No usage statistics, neither ZenML's nor MLflow's.
export ZENML_ANALYTICS_OPT_IN := false
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help setup setup-kubeflow check format test test-clusters demo bench bench-quick pretrain lock sbom clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything in it; instant when nothing has changed

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Expunge needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo not there)." \
	    "Name another one: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)

$(STAMP): $(BIN)/uv requirements.lock pyproject.toml
	VIRTUAL_ENV=.venv $(BIN)/uv pip sync --compile-bytecode --require-hashes requirements.lock
	VIRTUAL_ENV=.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/zenml analytics opt-out > /dev/null
	[ -d .zen ] || $(BIN)/zenml init > /dev/null
	@touch $@
	@echo "Set up. Activate it with: source .venv/bin/activate"

setup-kubeflow: $(KUBEFLOW)/.set-up ## make .venv-kubeflow, which compiles the pipeline for Kubeflow

$(KUBEFLOW)/.set-up: $(BIN)/uv requirements-kubeflow.lock
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(KUBEFLOW)
	VIRTUAL_ENV=$(KUBEFLOW) $(BIN)/uv pip sync --quiet --require-hashes requirements-kubeflow.lock
	@touch $@

check: setup ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy expunge

format: setup ## put the code in its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One process more than there are cores: many tests wait for servers.
test: setup setup-kubeflow ## every test, the slow ones too (the fast tier alone: .venv/bin/pytest)
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs -m "slow or not slow" --numprocesses $$($(BIN)/python -c "import os; print(os.cpu_count() + 1)") --dist loadfile --no-loadscope-reorder

test-clusters: setup ## those of Kubernetes alone, on a substitute for a cluster
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs -m "slow or not slow" tests/clusters

demo: setup ## two takedown requests, from filing to certificate
	$(BIN)/python -m pipelines.demo

bench: setup ## compare unlearning methods on both models (about three hours; goes on where it was stopped)
	$(BIN)/zenml pipeline run pipelines.benchmark_pipeline.benchmark_pipeline -c configs/benchmark.yaml
	$(BIN)/zenml pipeline run pipelines.benchmark_pipeline.benchmark_pipeline -c configs/benchmark-digits.yaml

bench-quick: setup ## compare a few of them (ten minutes)
	$(BIN)/zenml pipeline run pipelines.benchmark_pipeline.benchmark_pipeline -c configs/benchmark-quick.yaml

pretrain: setup ## make the zoo's weights again from the icon sets (hours)
	$(BIN)/zenml pipeline run pipelines.pretrain_pipeline.pretrain_pipeline

PIN := pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
EXTRA := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["kubeflow"], sep="\n")

lock: $(BIN)/uv ## pin requirements.in with the development tools, without them for the image, and the extra for Kubeflow
	$(BIN)/uv $(PIN) requirements.in --group dev --output-file requirements.lock
	$(BIN)/uv $(PIN) requirements.in --constraints requirements.lock --output-file requirements-image.lock
	$(BIN)/python -c '$(EXTRA)' | $(BIN)/uv $(PIN) - --output-file requirements-kubeflow.lock

sbom: setup ## list what is in the image, with hashes (CycloneDX): sbom.cdx.json
	$(BIN)/python -m infra.image.sbom --lock requirements-image.lock --out sbom.cdx.json

clean: ## remove .venv, caches and all local state (.expunge: requests, models, reports)
	rm -rf .venv .venv-kubeflow .zen .expunge .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
