# `make run` and `make test` are all that a newcomer needs; both make what they use.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
WORKERS ?= 3
PROTOS := $(sort $(wildcard proto/*/v1/*.proto))
PROTOC  = PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m grpc_tools.protoc -Iproto \
          -I"$$($(BIN)/python -c 'import google.api.annotations_pb2 as m, pathlib; print(pathlib.Path(m.__file__).parents[2])')"

.DEFAULT_GOAL := help
.PHONY: help run test check lint types protos protos-check openapi image baseline constraints clean

help: ## Show this
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(VENV)/run.stamp ## Start policy, tokenservice, gateway and the Gemini Live emulator
	@exec $(BIN)/python -m stack

test: $(VENV)/dev.stamp ## Run all tests
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

check: lint types protos-check test ## All that CI asks

lint: $(VENV)/dev.stamp ## Style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp ## mypy --strict
	$(BIN)/mypy

protos: $(VENV)/dev.stamp ## Generate code from proto/
	$(PROTOC) --python_out=. --pyi_out=. --grpc_python_out=. --mypy_grpc_out=. $(PROTOS)

image: $(VENV)/dev.stamp
	@mkdir -p build
	@$(PROTOC) --include_imports --include_source_info -o build/image.binpb $(PROTOS)

openapi: image ## Generate gateway/openapi.json from proto/ and its comments
	$(BIN)/python -m gateway.openapi build/image.binpb

protos-check: image ## Generated code and OpenAPI are fresh; buf lint and buf breaking are clean
	@rm -rf build/fresh && mkdir -p build/fresh
	@$(PROTOC) --python_out=build/fresh --pyi_out=build/fresh --grpc_python_out=build/fresh --mypy_grpc_out=build/fresh $(PROTOS)
	@cd build/fresh && find . -type f | while read -r f; do cmp -s "$$f" "../../$$f" || { echo "$$f is stale: run make protos"; exit 1; }; done
	@$(BIN)/python -m gateway.openapi build/image.binpb build/fresh/openapi.json
	@cmp -s build/fresh/openapi.json gateway/openapi.json || { echo "gateway/openapi.json is stale: run make openapi"; exit 1; }
	$(BIN)/buf lint build/image.binpb --exclude-path google
	$(BIN)/buf breaking build/image.binpb --against proto/baseline.binpb --exclude-path google

baseline: image ## Accept the present protos as the API that must not break
	$(PROTOC) --include_imports -o proto/baseline.binpb $(PROTOS)

constraints: $(VENV)/dev.stamp ## Pin what is installed now
	$(BIN)/pip freeze --all --exclude-editable --exclude pip > constraints.txt

clean: ## Remove what make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .run

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/run.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	@touch $@ $(VENV)/run.stamp
