# kmodd. `make help` lists what there is to do.

GO      ?= go
BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
KMODLAB := $(GO) run ./cmd/kmodlab

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build demo test race lint fuzz bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build kmodd and kmodctl, static, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/kmodd ./cmd/kmodctl

demo: ## boot a Debian kernel with kmodd in it and plug devices while you watch
	@$(KMODLAB) demo

test: ## run every test, those on a real kernel too
	@$(KMODLAB) setup
	$(GO) test -timeout 30m ./...

race: ## run the tests of what runs concurrently under the race detector (needs gcc)
	$(GO) test -race -timeout 30m ./daemon/... ./rules/... ./match/... ./cmd/kmodd/... ./cmd/kmodctl/...

lint: ## gofmt, go vet, staticcheck, go.mod in order
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt: the files above are not formatted: run gofmt -w .' >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

fuzz: ## fuzz every fuzz target for 20 seconds each
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep ^Fuzz); do \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 20s $$pkg || exit 1; \
		done; \
	done

bench: ## measure speed and size beside the peers, and print the table
	@$(KMODLAB) bench

clean: ## remove what was built; the cache of kernels stays (kmodlab setup -clean removes it)
	rm -rf $(BIN)
