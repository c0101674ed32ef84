# kmodd. `make help` lists what there is to do.

GO      ?= go
BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# The old alignment of functions: 30 kB less, at no cost that could be measured.
LDFLAGS := -s -w -funcalign=16 -X main.version=$(VERSION)
KMODLAB := $(GO) run ./cmd/kmodlab
# Static. Go 1.26's new collector writes to the end of each span of memory, a page more in
# most: with the one before it, while there is one, kmodctl's modprobe starts in 14 % less
# time, and kmodd has 150 kB less in memory.
SHIPPED := CGO_ENABLED=0
ifneq ($(findstring go1.26,$(shell $(GO) env GOVERSION)),)
SHIPPED += GOEXPERIMENT=nogreenteagc
endif

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.DEFAULT_GOAL := help
.PHONY: help build install demo test race cross emulate lint fuzz bench clean

# What Linux boards are made of, as GOARCH or GOARCH/GOARM.
TARGETS := amd64 386 arm64 arm/7 arm/6 riscv64 mipsle

# What is shipped.
PROGRAMS := ./cmd/kmodd ./cmd/kmodd-tools ./cmd/kmodctl ./cmd/kmodd-exporter

# Whose names kmodd-tools can be called by.
TOOLS := depmod insmod kmod lsmod modinfo modprobe rmmod

# The packages that decide what is loaded and do nothing to the system.
PURE := ./modalias/... ./match/... ./rules/... ./daemon/core

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build kmodd, kmodd-tools, kmodctl and kmodd-exporter, static, into bin/
	$(SHIPPED) $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ $(PROGRAMS)

install: ## install what was built, units and udev's rules among it, below DESTDIR (docs/service.md)
	install -D -t '$(DESTDIR)/usr/sbin' $(BIN)/kmodd
	install -D -t '$(DESTDIR)/usr/bin' $(BIN)/kmodctl $(BIN)/kmodd-exporter
	install -D -t '$(DESTDIR)/usr/lib/kmodd' $(BIN)/kmodd-tools
	install -d '$(DESTDIR)/usr/lib/kmodd/bin' '$(DESTDIR)/var/lib/kmodd'
	for tool in $(TOOLS); do ln -sf ../kmodd-tools '$(DESTDIR)/usr/lib/kmodd/bin/'$$tool; done
	ln -sf ../../sbin/kmodd '$(DESTDIR)/usr/lib/kmodd/modprobe'
	for unit in $$(cd deploy/systemd && find . -type f); do install -D -m 644 deploy/systemd/$$unit '$(DESTDIR)/usr/lib/systemd/system/'$$unit; done
	install -D -m 644 -t '$(DESTDIR)/usr/share/kmodd' deploy/udev/80-drivers.rules deploy/kmodd/reference.toml deploy/kmodd/fast-boot.toml

demo: ## boot a Debian kernel with kmodd in it and plug devices while you watch; BOARD=rpi3, virt or sabrelite for another board than a PC
	@$(KMODLAB) demo $(if $(BOARD),-board $(BOARD))

test: ## run every test, those on a real kernel too
	@$(KMODLAB) setup
	$(GO) test -timeout 60m ./...

# These are long, and about code that runs in one thread.
ONE_THREAD := ^(TestPromisesHoldForThousandsOfDays|TestBrokenMachinesAreCaught)$$

race: ## run the tests of what runs concurrently under the race detector (needs gcc)
	$(GO) test -race -timeout 60m -skip '$(ONE_THREAD)' ./daemon/... ./rules/... ./match/... ./cmd/kmodd/... ./cmd/kmodctl/... ./cmd/kmodd-exporter/...

cross: ## build for every architecture that boards have, into bin/ARCHITECTURE/
	@set -e; for target in $(TARGETS); do \
		GOARCH=$${target%/*}; GOARM=; case $$target in */*) GOARM=$${target#*/};; esac; \
		echo "building for $$target"; \
		$(SHIPPED) GOOS=linux GOARCH=$$GOARCH GOARM=$$GOARM \
			$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/$$GOARCH$$GOARM/ $(PROGRAMS); \
	done

# TestFileThatShrinksInUse is left out: QEMU 7.2 does not tell a program which
# address a SIGBUS is about. So are those which are not about words or the order of
# bytes, and take minutes there.
NOT_EMULATED := ^(TestFileThatShrinksInUse|TestBrokenMachinesAreCaught|TestPromisesHoldForThousandsOfDays|TestDebiansModulesAreSignedByTheirKernel)$$

emulate: ## run the pure packages' tests as 32-bit ARM and as big-endian s390x programs (needs qemu-user-static)
	CGO_ENABLED=0 GOARCH=arm GOARM=7 $(GO) test -timeout 15m -skip '$(NOT_EMULATED)' -exec qemu-arm-static $(PURE)
	CGO_ENABLED=0 GOARCH=s390x $(GO) test -timeout 15m -skip '$(NOT_EMULATED)' -exec qemu-s390x-static $(PURE)

lint: ## gofmt, go vet, staticcheck, go.mod in order
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt: the files above are not formatted: run gofmt -w .' >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

fuzz: ## fuzz every fuzz target for 20 seconds each
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep ^Fuzz); do \
			$(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime 20s -fuzzminimizetime 1s $$pkg || exit 1; \
		done; \
	done

bench: ## measure speed and size beside the peers, and print the table
	@$(KMODLAB) bench

clean: ## remove what was built; the cache of kernels stays (kmodlab setup -clean removes it)
	rm -rf $(BIN)
