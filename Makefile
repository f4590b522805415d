# Two commands do everything on a fresh Debian with Swift and make:
#   make run     installs what is missing, builds, and checks the chain this machine was handed (or the shipped fixture)
#   make test    builds and runs every test

SWIFT ?= swift
STATIC := .build-static/release/pram-verify
PROGRAM := build/pram-verify

.PHONY: all static run test bench size install-tools clean FORCE

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

clean:
	rm -rf .build .build-static build

FORCE:
