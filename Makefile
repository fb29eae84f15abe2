# Cairn: make build | test | test-s3 | check | demo | sim | faults | bench | gen | clean. Nothing but Go and make is needed.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X cairn/internal/version.Version=$(VERSION)

.PHONY: build test test-s3 check demo sim faults bench gen clean

build: ## both daemons into bin/, static
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/coord ./cmd/node

test: ## all tests, with the race detector where the machine has a C compiler for it
	scripts/test

test-s3: bin/versitygw ## the tests that need an S3 server, with a real one
	CAIRN_TEST_S3=$(CURDIR)/bin/versitygw $(GO) test -count=1 -timeout 5m ./statestore/objectstore
	CAIRN_TEST_S3=$(CURDIR)/bin/versitygw $(GO) test -count=1 -timeout 5m -run S3 ./internal/e2e

bin/versitygw: tools/s3/go.mod tools/s3/go.sum
	CGO_ENABLED=0 $(GO) build -modfile=tools/s3/go.mod -trimpath -o bin/ github.com/versity/versitygw/cmd/versitygw

check: ## formatting, vet, lint, structure, generated code
	scripts/check

demo: build ## the main job, with real processes, and failures under it
	$(GO) run ./scripts/demo -bin bin

sim: ## the simulation of coordinators and nodes, for long: SEEDS=20000
	SEEDS=$(or $(SEEDS),20000) $(GO) test -count=1 -timeout 2h -run TestSeeds ./internal/sim

faults: ## jobs on a whole cluster under random faults, for long: SEEDS=50 for each job and configuration
	SEEDS=$(or $(SEEDS),50) $(GO) test -count=1 -timeout 4h -run TestI7 ./internal/faults

bench: build ## what docs/BENCHMARKS.md describes, with bars; QUICK=1 takes two minutes, GROUP=pause measures one group
	$(GO) run ./scripts/bench -out bench $(if $(QUICK),-quick) $(if $(GROUP),-group $(GROUP))

gen: ## regenerate the protobuf code
	$(TOOL) buf generate

clean:
	rm -rf bin
