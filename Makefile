# What people and CI do with this repository. Nothing here needs more than Go and make; what else is there is used.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export GOTOOLCHAIN := local
export GOFLAGS ?= -buildvcs=false

BIN := bin
# DATA is where the embedded stack keeps its data, its log and its process id.
DATA ?= data
# STACK forces docker or embedded; auto takes Docker when it answers and has the images.
export STACK ?= auto

GOLANGCI_LINT_VERSION := v2.15.0
GOFUMPT_VERSION := v0.12.0

##@ Run it

.PHONY: up
up: build ## Start everything in the background and wait until it is ready (STACK=docker|embedded forces one)
	@$(BIN)/orderflow up --data $(DATA)

.PHONY: down
down: build ## Stop what up started; the data stays
	@$(BIN)/orderflow down --data $(DATA)

.PHONY: status
status: build ## Say what runs, and what each service waits for
	@$(BIN)/orderflow status --data $(DATA)

.PHONY: logs
logs: build ## Follow the logs of what up started (until Ctrl-C)
	@$(BIN)/orderflow logs --follow --data $(DATA)

.PHONY: clean
clean: build ## Stop what up started and remove its data
	@$(BIN)/orderflow clean --data $(DATA)

.PHONY: deadletters
deadletters: build ## List the events that wait for a person, in all services
	@$(BIN)/orderflow deadletters list --data $(DATA)

.PHONY: replay
replay: build ## Tell one consumer what was announced so far (TO=crm)
	@$(BIN)/orderflow replay --to $(or $(TO),$(error say which consumer, as in: make replay TO=crm)) --data $(DATA)

.PHONY: rebuild
rebuild: build ## Make a read model anew beside the live one, and swap it (SERVICE=order, dispatch, reporting or crm)
	@$(BIN)/orderflow rebuild $(or $(SERVICE),$(error say whose read model, as in: make rebuild SERVICE=crm)) --data $(DATA)

.PHONY: verify
verify: build ## Compare what was committed with what every service shows and has announced
	@$(BIN)/orderflow verify --data $(DATA)

.PHONY: explain
explain: build ## Tell the whole story of an order: make explain ORDER=...
	@$(BIN)/orderflow explain --data $(DATA) $(or $(ORDER),$(error say which order, as in: make explain ORDER=01a1...))

.PHONY: demo
demo: build ## Tell the story of four orders, on what runs or on a system of its own
	@$(BIN)/orderflow demo --data $(DATA)

##@ Work on it

.PHONY: build
build: ## Build the programs into bin/
	@go build -o $(BIN)/ ./cmd/...

.PHONY: test
test: ## Run the tests; RabbitMQ, PostgreSQL and Chromium are used where they are (REQUIRE_REAL=1 demands them)
	go test $(TESTFLAGS) ./...

.PHONY: test-long
test-long: ## Run every test with the race detector, the long suites included
	TEST_LONG=1 go test -race -timeout 60m $(TESTFLAGS) ./...

.PHONY: e2e
e2e: ## Run the black-box tests of the whole system
	go test -count=1 $(TESTFLAGS) ./tests/e2e/...

.PHONY: lint
lint: $(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION) $(BIN)/gofumpt-$(GOFUMPT_VERSION) ## Check style, layering and suspicious code
	go vet ./...
	@unformatted=$$($(BIN)/gofumpt-$(GOFUMPT_VERSION) -l .); if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION) run

.PHONY: fmt
fmt: $(BIN)/gofumpt-$(GOFUMPT_VERSION) ## Format the Go files
	$(BIN)/gofumpt-$(GOFUMPT_VERSION) -w .

.PHONY: bench
bench: build ## Run the benchmarks beside their limits, then measure fresh systems under load (COUNT=3 repeats the former)
	go test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count $(COUNT) ./pkg/... ./services/... | go run ./scripts/benchtable
	@$(MAKE) --no-print-directory bench-system

.PHONY: bench-system
bench-system: build ## Measure a fresh system under load: the embedded one, and one on RabbitMQ and PostgreSQL where they answer
	@for on in --fresh --real; do \
	  for how in "--rate 50 --duration 20s" "--rate 500 --duration 20s" "--clients 64 --orders 10000"; do \
	    echo; $(BIN)/orderflow load $$on $$how || [ "$$on" = --real -a -z "$${REQUIRE_REAL:-}" ] || exit 1; \
	  done; \
	done

BENCH ?= .
BENCHTIME ?= 1s
COUNT ?= 1

.PHONY: contracts-check
contracts-check: ## Find what the contracts promised before and do not keep (BASE=commit; where this change left the trunk)
	@go run ./scripts/contracts $(if $(BASE),--base $(BASE))

.PHONY: contracts-record
contracts-record: ## Record what the contracts have grown by; refuses any other change
	@go run ./scripts/contracts --record

.PHONY: readme
readme: ## Run the commands of README.md on a fresh embedded system
	scripts/readme.sh README.md

.PHONY: size
size: ## Count the lines of code, of tests, and the files
	@scripts/size.sh

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

# The tools keep their version in their name, so that another version here is another file.
$(BIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	GOBIN=$(CURDIR)/$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(BIN)/golangci-lint $@

$(BIN)/gofumpt-$(GOFUMPT_VERSION):
	GOBIN=$(CURDIR)/$(BIN) go install mvdan.cc/gofumpt@$(GOFUMPT_VERSION)
	mv $(BIN)/gofumpt $@
