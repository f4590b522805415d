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
	$(SWIFT) build -c release --traits Static --scratch-path .build-static --product pram-verify
	@mkdir -p build
	@cmp -s $(STATIC) $(PROGRAM) || cp $(STATIC) $(PROGRAM)

install-tools:
	@scripts/install-tools build

clean:
	rm -rf .build .build-static build

FORCE:
