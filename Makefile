# The one door to the project's tools. `make help` lists what it opens.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PROTOS := $(shell find protos -name '*.proto')
UPSTREAM ?= local
FULL ?=
MESSAGE ?= the books change
DATA ?=
ESCALATION ?=
ENTRIES ?= 10000
SERVICE ?= gateway
SEEDS ?= 10000
RELEASED := protos/released.binpb
PEERS ?=
# Files of tests run side by side: many wait more than they work.
WORKERS ?= 2

.PHONY: help setup demo run test test-fast simulate lint protos lock bench bench-hops bench-overload bench-router bench-context bench-count bench-cache ledger-revision bench-ledger faults console jaeger-check api-docs release-contracts sbom k8s k8s-lint image clean

help: ## list the targets, a line each
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready gen/.ready ## make .venv from the hash-locked requirements, build the contracts

.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Spendgate needs Python 3.11 or newer; run make with PYTHON=<path of one>")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	mkdir -p gen
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# google/rpc is laid beside our own contracts for the linter; Python takes it from its package.
gen/.ready: $(PROTOS) .venv/.ready
	@rm -rf gen/spendgate gen/include && mkdir -p gen/include/google/rpc
	@cp $$($(BIN)/python -c 'import google.rpc as r; print(list(r.__path__)[0])')/status.proto gen/include/google/rpc/
	$(BIN)/python -m grpc_tools.protoc -I protos -I gen/include --python_out=gen --pyi_out=gen --grpc_python_out=gen $(PROTOS)
	@touch $@

protos: gen/.ready ## build gen/ from protos/

demo: setup ## start the fleet embedded, run a support chatbot's day, print what it saved
	$(BIN)/spendgate demo --upstream $(UPSTREAM)

run: setup ## start the fleet embedded and stay (the same as `spendgate up`)
	$(BIN)/spendgate up

test: setup ## every test
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

test-fast: setup ## the tests that start no process
	$(BIN)/python -m pytest tests/unit tests/tidy

lint: setup ## ruff, mypy, the walls between rooms, the contracts, no float near money
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf breaking protos --against $(RELEASED)
	$(BIN)/python -m pytest --quiet --no-header tests/tidy/test_money.py

faults: setup ## the faults at full size: rolling restart at 200 a second for 30 s, 20,000 streams given up
	SPENDGATE_ROLLING_RATE=200 SPENDGATE_ROLLING_SECONDS=30 SPENDGATE_SOAK_STREAMS=20000 $(BIN)/python -m pytest -s tests/faults

simulate: setup ## 10,000 seeds of the ledger's simulator, on every core (SEEDS=number)
	$(BIN)/python -m tests.simulation.run --seeds $(SEEDS)

bench: setup ## load on the whole fleet, and on the PEERS named (litellm,portkey); needs Go
	$(BIN)/python -m bench.load --peers "$(PEERS)"

bench-hops: setup ## a plain hop against a coalesced one
	$(BIN)/python -m bench.hops

bench-overload: setup ## measure the fleet at four times what it can do, and after
	$(BIN)/python -m bench.overload

bench-router: setup ## measure the router's choices on the outcomes in DATA (and ESCALATION)
	$(BIN)/python -m bench.router $(DATA) $(if $(ESCALATION),--escalation $(ESCALATION))
	$(if $(ESCALATION),$(BIN)/python -m bench.escalation $(ESCALATION) $(if $(DATA),--prompts $(DATA)))

bench-context: setup ## replay the conversations in DATA through every context policy
	$(BIN)/python -m bench.context --data $(DATA)

bench-count: setup ## measure counting: engine, hostile texts, service (and the memo on DATA)
	$(BIN)/python -m bench.count $(if $(DATA),--data $(DATA))

ledger-revision: setup ## write the next revision of the ledger's tables; say what for in MESSAGE
	$(BIN)/python -m tests.revise "$(MESSAGE)"
	$(BIN)/ruff format --quiet services/ledger/sql/migrations

bench-ledger: setup ## measure the ledger on both databases; FULL=--full for 10 M entries
	$(BIN)/python -m bench.ledger $(FULL)

# Asks the Jaeger that JAEGER_QUERY_URL and JAEGER_OTLP_ENDPOINT name, or builds one: minutes, once.
jaeger-check: setup ## push a demo run to a real Jaeger and ask it for traces, tags and sums
	test -n "$$JAEGER_QUERY_URL" || ! command -v go > /dev/null || $(MAKE) tests/jaeger/.build/jaeger
	$(BIN)/python -m pytest tests/jaeger

tests/jaeger/.build/jaeger: tests/jaeger/go.mod tests/jaeger/go.sum
	cd tests/jaeger && CGO_ENABLED=0 go build -p 2 -trimpath -ldflags '-s -w' -o .build/jaeger github.com/jaegertracing/jaeger/cmd/jaeger

console: ## build the web console from console/ into gateway/console/static (node 20, npm)
	cd console && npm ci --ignore-scripts --no-audit --no-fund && npm run build

k8s: setup ## render the overlays and hold them against the code
	$(BIN)/python -m pytest tests/k8s

# checkov is 290 MB of libraries; the tests of tests/k8s hold the rules that matter here without it.
k8s-lint: ## checkov over both overlays, in an environment of its own
	test -x .checkov/bin/checkov || { $(PYTHON) -m venv .checkov && .checkov/bin/python -m pip install --quiet --disable-pip-version-check checkov==3.3.30; }
	@for overlay in dev prod; do kubectl kustomize k8s/overlays/$$overlay > .checkov/$$overlay.yaml && .checkov/bin/checkov --config-file k8s/checkov.yaml -f .checkov/$$overlay.yaml || exit 1; done

image: ## build the image of SERVICE with the container engine
	docker build --build-arg SERVICE=$(SERVICE) -t spendgate/$(SERVICE):dev .

sbom: ## the bill of materials of SERVICE's image, to spendgate-SERVICE.sbom.json (CycloneDX)
	test -x .sbom/bin/cyclonedx-py || { $(PYTHON) -m venv .sbom && .sbom/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r images/locks/build.lock; }
	.sbom/bin/cyclonedx-py requirements images/locks/$(SERVICE).lock --output-reproducible --output-format JSON -o spendgate-$(SERVICE).sbom.json

bench-cache: setup ## measure the cache: look-ups, isolation, size up to ENTRIES, quality on the files in DATA
	$(BIN)/python -m bench.cache_service --entries $(ENTRIES)
	$(if $(DATA),$(BIN)/python -m bench.cache $(DATA))

api-docs: setup ## write docs/api from the contracts
	$(BIN)/python docs/api/build.py

# What is in it can only be added to (docs/contracts.md).
release-contracts: setup ## freeze the contracts as they stand: those who build on them are kept from then on
	$(BIN)/buf breaking protos --against $(RELEASED)
	$(BIN)/buf build --exclude-source-info -o $(RELEASED)

lock: .venv/.ready ## renew the hash-locked requirements from pyproject.toml
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --all-extras --no-header --quiet --upgrade pyproject.toml -o requirements.lock
	images/lock.sh

clean: ## remove what the targets made
	rm -rf .venv gen .pytest_cache .mypy_cache .ruff_cache .hypothesis
