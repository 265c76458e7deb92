# Two commands to begin with: make demo, make test.
PREFIX = /usr/local
DESTDIR =
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
DATADIR = $(PREFIX)/share
MANDIR = $(DATADIR)/man
ZSHDIR = $(DATADIR)/zsh/site-functions
INCLUDEDIR = $(PREFIX)/include
UNITDIR = $(PREFIX)/lib/systemd/system
UDEVDIR = $(PREFIX)/lib/udev/rules.d
# Debian's name for this machine's library directory, empty elsewhere; $LIB of ld.so expands to it.
MULTIARCH := $(if $(CROSS),$(patsubst riscv64gc-%,riscv64-%,$(subst -unknown,,$(CROSS))),$(shell gcc -print-multiarch 2>/dev/null || $(CC) -dumpmachine))
# The preload object, which nobody links with, lies in a directory of its own in there: vrfrun/.
LIBDIR = $(patsubst %/,%,$(PREFIX)/lib/$(MULTIARCH))
LIBDIR32 = $(PREFIX)/lib/i386-linux-gnu
VERSION := $(shell sed -n '/^\[workspace.package\]/,/^$$/s/^version = "\(.*\)"/\1/p' Cargo.toml)

CARGO = cargo
NEXTEST = tools/nextest
# Another machine to build for, as Rust names it: aarch64-unknown-linux-gnu, riscv64gc-unknown-linux-gnu; empty for this one.
CROSS =
RELEASE = $(or $(CARGO_TARGET_DIR),target)/$(if $(CROSS),$(CROSS)/)release
# What is installed; PACKAGES may say that only this is to be built, without the programs of the tests.
PRODUCTS = vrfrun vrfsetup vrfshim
PACKAGES =
# What failed in each virtual machine (tests/tests/kernels.rs).
FAILED = $(or $(CARGO_TARGET_DIR),target)/tmp/*.failed
# Where the i386 object is, on a machine that has built one; no other machine's programs are beside it.
RELEASE32 = $(if $(CROSS),/nonexistent,$(or $(CARGO_TARGET_DIR),target)/i686-unknown-linux-gnu/release)

all: build

build:
ifeq ($(CROSS),)
	$(CARGO) build --release$(PACKAGES:%= -p %)
else
	@CARGO='$(CARGO)' tools/cross-cargo $(CROSS) build --release $(PRODUCTS:%=-p %)
endif

# The same request without and with vrfrun, and whose answer came; in a virtual machine where this
# kernel has no VRFs.
demo:
	@tools/demo

# Lints are `make check`'s: they would compile everything once more.
test: packages build
	$(CARGO) fmt --all --check
	tools/rooms
	tools/words
	@rm -f $(FAILED)
	$(NEXTEST) run --workspace || { tail -qn 60 $(FAILED) 2>/dev/null; exit 1; }

# What needs no root and no virtual machine: a minute or two once the tests are compiled.
check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	tools/rooms
	tools/words
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' $(CARGO) doc --workspace --no-deps --document-private-items --quiet
	$(NEXTEST) run --workspace -E 'kind(lib) | kind(bin) | binary(pages) | binary(manual) | binary(header)'

# Do the two commands work on a Debian that holds only what the README names? CLEAN_ROOM: the suites.
CLEAN_ROOM = trixie bookworm
clean-room:
	@set -e; for suite in $(CLEAN_ROOM); do tools/clean-room $$suite; done

# The same tests with many more cases: PROPTEST_CASES, in each crate that reads foreign bytes, and SEQUENCES random programs
# on each kernel under the oracle inside it. Those go on from a seed that no night has had; each is printed, and run again by
# `tools/vm KERNEL --run vrfguest sequences WAY SEED 1`.
SEQUENCES = 100000
KERNELS = debian_5_10 debian_6_1 debian_6_12 debian_sid
NIGHT = debian_backports debian_experimental debian_rt
nightly: packages build
	PROPTEST_CASES=1000000 $(CARGO) test --release -p vrfrun --lib proptests
	PROPTEST_CASES=1000000 $(CARGO) test --release -p vrfrun --lib cgroup
	PROPTEST_CASES=1000000 $(CARGO) test --release -p vrfsetup --lib no_
	PROPTEST_CASES=1000000 $(CARGO) test -p vrfshim --lib no_
	set -e; for kernel in $(KERNELS) $(NIGHT); do tools/vm $$kernel ::; done
	tools/install-packages riscv64-packages
	tools/vm riscv64_6_12
	set -e; for kernel in $(KERNELS); do \
	    tools/vm $$kernel --run vrfguest sequences all $$(date +%s)000000 $(SEQUENCES); done
	tools/vm debian_6_12 --run env WORLDS=200 SEED=$$(date +%s) vrfguest run \
	    random_worlds::what_is_exported_of_a_random_world_is_empty_to_apply
	tools/vm debian_6_12 --run env CHANGES=200 SEED=$$(date +%s) vrfguest run \
	    random_faults::a_random_change_with_a_random_fault_is_whole_or_not_at_all
	set -e; for test in unit_refused_anywhere_changes_nothing unit_killed_anywhere_is_undone_by_the_next_run; do \
	    tools/vm systemd_bookworm --run env EVERY=1 vrfguest run unit_faults::$$test; done
	tools/dist-twice

# Kinds of programs by every way into the VRF, on every kernel, two machines at a time; writes docs/leak-matrix.md.
# LEAKS: only these kernels or rows.
LEAKS =
leaks: packages build
	$(CARGO) build -q -p vrftests
	$(CARGO) run -q -p vrftests --bin vrfleaks -- --json $(RELEASE)/../leak-matrix.json \
	    $(if $(LEAKS),,--document docs/leak-matrix.md) $(LEAKS)

# In a virtual machine whose clock counts instructions; fails where a bar is missed. Writes docs/bench.md.
bench: packages build
	@$(CARGO) run -q -p vrftests --bin vrfbench

packages:
	@tools/install-packages

# What goes where stands in dist/files.
DIRECTORIES = PREFIX='$(PREFIX)' BINDIR='$(BINDIR)' SBINDIR='$(SBINDIR)' DATADIR='$(DATADIR)' MANDIR='$(MANDIR)' \
    ZSHDIR='$(ZSHDIR)' INCLUDEDIR='$(INCLUDEDIR)' UNITDIR='$(UNITDIR)' UDEVDIR='$(UDEVDIR)' LIBDIR='$(LIBDIR)' LIBDIR32='$(LIBDIR32)' \
    RELEASE='$(RELEASE)' RELEASE32='$(RELEASE32)' VERSION='$(VERSION)' CROSS='$(CROSS)' STRIP='$(STRIP)'
# For the static library; each of binutils knows its own machine.
STRIP = $(if $(CROSS),$(MULTIARCH)-)strip

install uninstall:
	@DESTDIR='$(DESTDIR)' $(DIRECTORIES) dist/install $@

# Debian's packages of what `make` built, into DEBS. Both for another machine: make all deb CROSS=…
DEBS = $(RELEASE)/../debian
deb:
	@$(MAKE) -s --no-print-directory debs-in-usr PREFIX=/usr ZSHDIR=/usr/share/zsh/vendor-completions

debs-in-usr:
	@$(DIRECTORIES) dist/build-debs $(DEBS)

# The same for distributions of RPMs, into RPMS; takes rpmbuild.
RPMS = $(RELEASE)/../rpm
rpm:
	@$(DIRECTORIES) dist/build-rpms $(RPMS)

# A release's tarballs, into DIST: HEAD's sources, and the programs built from them, here or for CROSS. That takes a build of
# its own, in which no path of this machine stands. dist-of-built packs what `make` built.
DIST = $(or $(CARGO_TARGET_DIR),target)/dist
BUILT = $(or $(CARGO_TARGET_DIR),target)/dist-build
dist:
	@RUSTC_WRAPPER='$(CURDIR)/tools/rustc-remapped' RUSTC_WORKSPACE_WRAPPER= \
	    $(MAKE) --no-print-directory build CARGO_TARGET_DIR='$(BUILT)' PACKAGES='$(PRODUCTS)'
	@$(MAKE) -s --no-print-directory dist-of-built CARGO_TARGET_DIR='$(BUILT)' DIST='$(DIST)'

# Not every distribution has a directory for each machine's libraries.
dist-of-built: LIBDIR = $(PREFIX)/lib
dist-of-built:
	@$(DIRECTORIES) dist/build-archives '$(DIST)'

.PHONY: all build demo test check clean-room leaks nightly bench packages install uninstall deb debs-in-usr rpm dist \
    dist-of-built
