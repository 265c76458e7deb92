# Two commands to begin with: make demo, make test.
PREFIX = /usr/local
DESTDIR =
BINDIR = $(PREFIX)/bin
SBINDIR = $(PREFIX)/sbin
MANDIR = $(PREFIX)/share/man
LIBDIR = $(PREFIX)/lib
INCLUDEDIR = $(PREFIX)/include
# Debian's name for this machine's library folder; $LIB of ld.so expands to it.
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null || $(CC) -dumpmachine)
# The preload object, which nobody links with, lies in a folder of its own.
PRIVATEDIR = $(LIBDIR)/$(MULTIARCH)/vrfrun

CARGO = cargo
RELEASE = $(or $(CARGO_TARGET_DIR),target)/release

all: build

build:
	$(CARGO) build --release

# The same request without and with vrfrun, and whose answer came; in a virtual machine where this
# kernel has no VRFs.
demo: packages build
	@$(CARGO) run -q -p vrftests --bin vrfvm -- --demo

test: packages build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) nextest run --workspace

bench: packages build
	$(CARGO) bench -p vrftests

packages:
	@tools/install-packages

install:
	install -D -m 755 $(RELEASE)/vrfrun $(DESTDIR)$(BINDIR)/vrfrun
	install -D -m 755 $(RELEASE)/vrfsetup $(DESTDIR)$(SBINDIR)/vrfsetup
	install -D -m 755 $(RELEASE)/libvrfshim.so $(DESTDIR)$(PRIVATEDIR)/libvrfshim.so
	install -D -m 755 $(RELEASE)/libvrfshim.so $(DESTDIR)$(LIBDIR)/$(MULTIARCH)/libvrfshim.so.0
	ln -sf libvrfshim.so.0 $(DESTDIR)$(LIBDIR)/$(MULTIARCH)/libvrfshim.so
	install -D -m 644 $(RELEASE)/libvrfshim.a $(DESTDIR)$(LIBDIR)/$(MULTIARCH)/libvrfshim.a
	install -D -m 644 include/vrfshim.h $(DESTDIR)$(INCLUDEDIR)/vrfshim.h
	install -d $(DESTDIR)$(LIBDIR)/$(MULTIARCH)/pkgconfig
	sed -e 's|@prefix@|$(PREFIX)|g' -e 's|@libdir@|$(LIBDIR)/$(MULTIARCH)|g' -e 's|@includedir@|$(INCLUDEDIR)|g' \
	    -e 's|@version@|$(VERSION)|g' dist/vrfshim.pc.in >$(DESTDIR)$(LIBDIR)/$(MULTIARCH)/pkgconfig/vrfshim.pc

.PHONY: all build demo test bench packages install
