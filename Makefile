# The short way to everything. Each target makes the virtual environment that it needs.
#   make PYTHON=python3.12 demo    with another Python (3.10 or newer)
#   make VENV=/tmp/venv test       with another environment

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

chosen := $(if $(filter file default,$(origin PYTHON)),,--exact)
environment = @$(PYTHON) scripts/make_venv.py --venv "$(VENV)" $(chosen) --extra

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench gpu clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F'\t' '{printf "make %-7s %s\n", $$1, $$2}'

demo: ## render a crowd, count it, and write the overlays to edgecount-demo/
	$(environment) cpu
	@echo "== edgecount demo"
	@"$(VENV)/bin/edgecount" demo --out edgecount-demo $(ARGS)

test: ## run the test suite (ARGS="-k name" goes to pytest)
	$(environment) dev
	@echo "== pytest"
	@"$(VENV)/bin/python" -m pytest $(ARGS)

lint: ## check format, style, imports and types
	$(environment) dev
	@VENV="$(VENV)" scripts/lint

check: ## lint and test: what a change must pass (ARGS goes to pytest)
	$(environment) dev
	@VENV="$(VENV)" scripts/check $(ARGS)

bench: ## measure the kernels and the whole path of a frame
	$(environment) dev
	@echo "== benchmarks/kernels.py"
	@"$(VENV)/bin/python" benchmarks/kernels.py
	@echo "== benchmarks/end_to_end.py"
	@"$(VENV)/bin/python" benchmarks/end_to_end.py

gpu: ## build, test and measure the GPU part on this machine's NVIDIA GPU
	@PYTHON="$(PYTHON)" scripts/gpu_check $(ARGS)

clean: ## remove the virtual environment, builds, caches and the demo's files
	rm -rf "$(VENV)" build dist edgecount-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
