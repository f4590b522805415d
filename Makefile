# Two commands do everything on a fresh Debian with Swift and make:
#   make run     installs what is missing, builds, and checks the chain this machine was handed (or the shipped fixture)
#   make test    builds and runs every test
# And one shows what it is for:
#   make demo    a process goes on counting under another kernel, after a real kexec in QEMU; make demo-kho: without a
#                reserved range, on a kernel that hands memory over
# After a build, `make install` puts the program, its manual, the hooks for initramfs-tools and dracut, and what ties it to
# kexec-tools and systemd (a unit that does nothing until it is enabled) in their places.

SWIFT ?= swift
# The one place where the version stands.
VERSION := $(shell sed -n 's/^\#define VERSION "\(.*\)"$$/\1/p' Sources/CHookFiles/hook_files.c)
# What the program is built from: a plus sign where files were changed since. A tarball has it in a file.
COMMIT := $(shell cat COMMIT 2>/dev/null || { git rev-parse --short=12 HEAD && { git diff --quiet HEAD || echo +; }; } 2>/dev/null | tr -d '\n')
STATIC := .build-static/release/pram-verify
PROGRAM := build/pram-verify

.PHONY: all static run demo demo-kho test test-suites test-packages faults mutants sanitize bench bench-smoke size install-tools dist \
	deb rpm install uninstall clean FORCE

all: static

static: install-tools $(PROGRAM)

# SwiftPM knows best what has changed, so it is always asked.
$(PROGRAM): FORCE
	@mkdir -p build/commit
	@echo '#define COMMIT "$(COMMIT)"' >build/commit/new
	@cmp -s build/commit/new build/commit/pram-verify-commit.h || mv build/commit/new build/commit/pram-verify-commit.h
	$(SWIFT) build -c release --traits Static --scratch-path .build-static --product pram-verify \
		-Xcc -I$(CURDIR)/build/commit \
		-Xlinker -Map=$(CURDIR)/build/link-map
	@cmp -s $(STATIC) $(PROGRAM) || cp $(STATIC) $(PROGRAM)

install-tools:
	@scripts/install-tools build

run: static
	@scripts/run

demo: static
	@scripts/install-tools demo
	@Tests/boot/demo

# Needs a kernel that hands memory over: Documentation/KHO.md.
demo-kho: static
	@scripts/install-tools demo
	@Tests/boot/demo --kho

# Makes each system call of each command fail once (Tests/faults); `make test` runs a part of it. FAULTS_SAMPLE=N runs N
# of them, chosen by SEED.
faults: static
	@scripts/install-tools test
	@Tests/faults/run

# Changes one operator or constant at a time in the code that decides over data, and prints what no test notices
# (Tests/mutants). N=300 changes, chosen by SEED=1.
mutants:
	@scripts/install-tools test
	@Tests/mutants/run

# The unit tests under the thread sanitizer, then under the address sanitizer. Each has a build of its own.
sanitize:
	@scripts/install-tools build
	@scripts/sanitize

# The static program is built first, so that what breaks only in Embedded mode is seen at once.
test: static
	@scripts/test

# The whole way on each current Debian release in QEMU, which takes an hour or more; writes Documentation/TESTED.md.
# SUITES="Trixie Process" runs those cases alone whose name contains one of these.
test-suites: static
	@Tests/boot/run --suites $(SUITES)

# The Debian package in clean roots of three releases, under piuparts and autopkgtest, and what Prometheus says of the
# metrics, which takes an hour; as root. What could not be run is named and fails it. PARTS="roots metrics" runs those.
test-packages: deb
	@scripts/install-tools packages
	@Tests/packages/run build/deb/pram-verify_$(VERSION)-1_amd64.deb $(PARTS)

size: static
	@scripts/size

# Measures (Documentation/PERFORMANCE.md). BENCH_SIZE=256M and BENCH_RUNS=3 make it short; see Benchmarks/report for more.
bench: static
	@scripts/install-tools bench
	$(SWIFT) build -c release --scratch-path .build-bench --product pram-bench
	Benchmarks/report $(PROGRAM) .build-bench/release/pram-bench
	Benchmarks/parity
	Benchmarks/trees $(PROGRAM)

# Shows in a minute that it works; what it measures means nothing.
bench-smoke:
	BENCH_SIZE=64M BENCH_RUNS=1 BENCH_ROUNDS=1 BENCH_FILES=2000 $(MAKE) bench

# What is committed, as a tarball, a Debian package and an RPM (CONTRIBUTING.md).
dist:
	@scripts/dist build/dist

deb:
	@scripts/install-tools deb
	@scripts/deb build/deb

rpm:
	@scripts/install-tools rpm
	@scripts/rpm build/rpm

# The hooks lie where the two tools look for them, whatever the prefix is, and do no harm where a tool is not installed.
prefix ?= /usr/local
sbindir ?= $(prefix)/sbin
datadir ?= $(prefix)/share
mandir ?= $(datadir)/man
initramfsdir ?= /usr/share/initramfs-tools
dracutdir ?= /usr/lib/dracut/modules.d
initcpiodir ?= /usr/lib/initcpio
kernelinstalldir ?= /usr/lib/kernel/install.d
unitdir ?= /usr/lib/systemd/system
presetdir ?= /usr/lib/systemd/system-preset
defaultsdir ?= /etc/default
bashdir ?= $(datadir)/bash-completion/completions
zshdir ?= $(datadir)/zsh/site-functions
fishdir ?= $(datadir)/fish/vendor_completions.d

HOOKS := hooks/pram-verify scripts/init-top/pram-verify
DRACUT := 50pram-verify/module-setup.sh 50pram-verify/pram-verify.sh 50pram-verify/pram-verify-boot.service
MANUALS = $(foreach page,$(sort $(notdir $(wildcard man/*.[78]))),$(mandir)/man$(subst .,,$(suffix $(page)))/$(page))
UNITS := pram-verify.service
COMPLETIONS = $(bashdir)/pram-verify $(zshdir)/_pram-verify $(fishdir)/pram-verify.fish
INSTALLED = $(sbindir)/pram-verify $(sbindir)/pram-verify-kexec $(MANUALS) $(COMPLETIONS) \
	$(datadir)/pram-verify/kexec-on-reboot \
	$(datadir)/pram-verify/98-pram-verify.rules $(UNITS:%=$(unitdir)/%) $(presetdir)/80-pram-verify.preset \
	$(defaultsdir)/kexec.d/pram-verify \
	$(HOOKS:%=$(initramfsdir)/%) $(DRACUT:%=$(dracutdir)/%) \
	$(initcpiodir)/install/pram-verify $(initcpiodir)/hooks/pram-verify \
	$(kernelinstalldir)/58-pram-verify.install

install:
	@test -x $(PROGRAM) || { echo "$(PROGRAM) is not built: make static" >&2; exit 1; }
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(sbindir)/pram-verify
	install -D -m 755 kexec/pram-verify-kexec $(DESTDIR)$(sbindir)/pram-verify-kexec
	install -D -m 644 kexec/pram-verify $(DESTDIR)$(defaultsdir)/kexec.d/pram-verify
	@for file in $(UNITS); do install -D -m 644 systemd/$$file $(DESTDIR)$(unitdir)/$$file || exit 1; done
	install -D -m 644 systemd/pram-verify.preset $(DESTDIR)$(presetdir)/80-pram-verify.preset
	@# An administrator's settings stay.
	@test -e $(DESTDIR)$(defaultsdir)/pram-verify || \
		install -D -m 644 systemd/pram-verify.default $(DESTDIR)$(defaultsdir)/pram-verify
	@for file in $(MANUALS); do install -D -m 644 man/$${file##*/} $(DESTDIR)$$file || exit 1; done
	@install -d $(addprefix $(DESTDIR),$(bashdir) $(zshdir) $(fishdir))
	$(PROGRAM) complete bash >$(DESTDIR)$(bashdir)/pram-verify
	$(PROGRAM) complete zsh >$(DESTDIR)$(zshdir)/_pram-verify
	$(PROGRAM) complete fish >$(DESTDIR)$(fishdir)/pram-verify.fish
	@chmod 644 $(addprefix $(DESTDIR),$(COMPLETIONS))
	@# Changes what every reboot does, so it is only at hand.
	install -D -m 755 kexec/kexec-on-reboot $(DESTDIR)$(datadir)/pram-verify/kexec-on-reboot
	install -D -m 644 initramfs-hooks/98-pram-verify.rules $(DESTDIR)$(datadir)/pram-verify/98-pram-verify.rules
	@for file in $(HOOKS); do \
		install -D -m 755 initramfs-hooks/$$file $(DESTDIR)$(initramfsdir)/$$file || exit 1; done
	@for file in $(DRACUT); do install -D -m 644 dracut/$$file $(DESTDIR)$(dracutdir)/$$file || exit 1; done
	@for kind in install hooks; do \
		install -D -m 644 mkinitcpio/$$kind/pram-verify $(DESTDIR)$(initcpiodir)/$$kind/pram-verify || exit 1; done
	install -D -m 755 kernel-install/58-pram-verify.install $(DESTDIR)$(kernelinstalldir)/58-pram-verify.install
	sed -i 's|program=/usr/sbin/|program=$(sbindir)/|; s|rules=/usr/share/|rules=$(datadir)/|' \
		$(DESTDIR)$(initramfsdir)/hooks/pram-verify $(DESTDIR)$(dracutdir)/50pram-verify/module-setup.sh \
		$(DESTDIR)$(initcpiodir)/install/pram-verify $(DESTDIR)$(kernelinstalldir)/58-pram-verify.install
	chmod 755 $(DESTDIR)$(dracutdir)/50pram-verify/module-setup.sh

uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)
	-rmdir $(DESTDIR)$(dracutdir)/50pram-verify $(DESTDIR)$(datadir)/pram-verify

clean:
	rm -rf .build .build-static .build-bench build

FORCE:
