# Two commands do everything on a fresh Debian with Swift and make:
#   make run     installs what is missing, builds, and checks the chain this machine was handed (or the shipped fixture)
#   make test    builds and runs every test

SWIFT ?= swift
STATIC := .build-static/release/pram-verify
PROGRAM := build/pram-verify

.PHONY: all static run test bench bench-smoke size install-tools clean FORCE

all: static

static: install-tools $(PROGRAM)

# SwiftPM knows best what has changed, so it is always asked.
$(PROGRAM): FORCE
	@mkdir -p build
	$(SWIFT) build -c release --traits Static --scratch-path .build-static --product pram-verify \
		-Xlinker -Map=$(CURDIR)/build/link-map
	@cmp -s $(STATIC) $(PROGRAM) || cp $(STATIC) $(PROGRAM)

install-tools:
	@scripts/install-tools build

run: static
	@scripts/run

# The static program is built first, so that what breaks only in Embedded mode is seen at once.
test: static
	@scripts/test

size: static
	@scripts/size

# Measures (Documentation/PERFORMANCE.md). BENCH_SIZE=256M and BENCH_RUNS=3 make it short; see Benchmarks/report for more.
bench: static
	$(SWIFT) build -c release --scratch-path .build-bench --product pram-bench
	Benchmarks/report $(PROGRAM) .build-bench/release/pram-bench

# Shows in a few seconds that it works; what it measures means nothing.
bench-smoke:
	BENCH_SIZE=64M BENCH_RUNS=1 $(MAKE) bench

clean:
	rm -rf .build .build-static .build-bench build

FORCE:
