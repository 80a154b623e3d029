# SPDX-License-Identifier: GPL-2.0-or-later
# The one Makefile: static, GNU make, no recursion. `configure` writes config.mk beside it.
#
#   make [all]        the programs, into build/
#   make check        unit tests, end-to-end tests, scripts; the last line is "N passed, N failed"
#   make demo         a real VNC server, the daemon, a viewer and a browser, shown step by step
#   make bench        side by side with other proxies
#   make install      programs, manuals, configuration (edited files are kept); make uninstall takes it back
#   make dist         vncauthproxy-VERSION.tar.gz; make distcheck proves that it builds, installs and leaves nothing
#   make clean        the build folder; make distclean also what configure wrote
#
#   V=1                          show the commands
#   SANITIZE=address,undefined   build and check with sanitizers (into a build folder of its own)
#   BUILD=DIR                    where objects and programs go (build)
#   CHECK="WORD..."              check: only tests whose name contains one of the words (unit, fuzz, e2e, script, relay)
#   LTO=                         no optimization at link time: a faster build
#   WERROR=                      warnings of a compiler newer than the tested ones do not stop the build
#   DESTDIR=DIR                  install below DIR; prefix, sbindir, sysconfdir ... as the GNU standards name them

ifeq ($(filter distclean,$(MAKECMDGOALS)),)
ifeq ($(wildcard config.mk),)
$(error config.mk is missing: run ./bootstrap, or ./configure)
endif
include config.mk
endif

SANITIZE ?=
comma := ,
BUILD ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' '$(1)' '$(2)')

# ---- sources: one static library per folder, linked in the order of the arrows (main -> ... -> base)

base_SRC := \
  address \
  crypt_hash \
  fd \
  heap \
  log \
  options \
  process \
  secret \
  secret_input \
  users \
  users_edit \
  written_once

proto_SRC := \
  base64 \
  control \
  http_answer \
  http_head \
  json_fields \
  request_reader \
  rfb \
  rfb_client \
  rfb_server \
  vnc_auth \
  vncap \
  web_page \
  ws_codec \
  ws_upgrade

net_SRC := \
  listener \
  loop \
  stream \
  tls \
  unix_socket

ipc_SRC := \
  channel \
  handover \
  message \
  seats

master_SRC := \
  capacity \
  certificate \
  control_conn \
  control_server \
  flash_policy \
  listeners \
  login \
  master \
  port_pool \
  startup \
  worker_table

worker_SRC := \
  backend_side \
  door \
  link \
  pages \
  relay \
  session \
  viewer_side \
  worker

# Programs: NAME_SRC are the objects of its own, NAME_TOP the layers it is linked with (and all below them).
PROGRAMS := \
  vncauthproxy \
  vncauthproxy-client \
  vncauthproxy-passwd
vncauthproxy_SRC := main daemon
vncauthproxy_TOP := master worker
vncauthproxy-client_SRC := client/arguments client/connection client/main
vncauthproxy-client_TOP := proto
vncauthproxy-passwd_SRC := passwd/main passwd/prompt
vncauthproxy-passwd_TOP := base

# Unit tests: test_NAME is built from tests/test_NAME.cc and the libraries named here, nothing above them.
unit_base := \
  address \
  fd \
  heap \
  log \
  options \
  process \
  secret \
  users \
  written_once
unit_proto := \
  control \
  http_head \
  request_reader \
  rfb \
  rfb_client \
  rfb_server \
  vnc_auth \
  vncap \
  web_page \
  ws_codec \
  ws_upgrade
unit_net := \
  listener \
  loop \
  stream \
  tls \
  unix_socket
unit_ipc := \
  channel \
  message \
  seats
unit_master := \
  capacity \
  control_conn \
  control_server \
  login \
  port_pool \
  worker_table
unit_worker := \
  relay

# What the end-to-end tests stand on (tests/support), and its programs, which `make demo` uses too: no CMocka here.
support_SRC := \
  browser \
  daemon \
  fake_backend \
  fake_viewer \
  png \
  program \
  socket \
  tls \
  wire \
  ws_viewer
SUPPORT_PROGRAMS := \
  painter \
  vncshot \
  webshot
# End-to-end tests: e2e/test_NAME runs the built programs, which it finds through VNCAUTHPROXY_BUILD.
E2E := \
  backend \
  client \
  control \
  dialects \
  flash \
  keepalive \
  leases \
  listeners \
  novnc \
  pages \
  passwd \
  probes \
  real \
  relay \
  service \
  support \
  tls \
  viewer \
  websocket

# Fuzz entries: fuzz_NAME is tests/fuzz/fuzz_NAME.cc with the corpus tests/fuzz/corpus/NAME.
fuzz_base :=
fuzz_proto := \
  control \
  http_head \
  request_reader \
  rfb_client \
  rfb_server \
  ws_codec
fuzz_ipc :=

# Scripts of tests/scripts that `make check` runs.
SCRIPTS := \
  check-bench \
  check-bootstrap \
  check-docs \
  check-includes \
  check-init \
  check-install \
  check-python \
  check-style

# ---- flags

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 \
  -Wcast-qual -Wundef
# _FORTIFY_SOURCE needs an optimizing compiler; the last -O given counts.
optimizes := $(filter-out -O0,$(lastword $(filter -O%,$(CXXFLAGS))))
ifeq ($(SANITIZE),)
hardening := -fstack-protector-strong -fstack-clash-protection \
  $(if $(optimizes),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(FORTIFY)) -D_GLIBCXX_ASSERTIONS
else
hardening := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
endif
# What configure has tried with its compiler, for builds with that one and where no sanitizer looks at each object:
# lto for the programs and their objects (which tests link without it), runtime for the programs alone.
tried := $(if $(SANITIZE)$(filter-out file,$(origin CXX)),,yes)
lto := $(if $(tried),$(LTO))
runtime := $(if $(tried),$(RUNTIME))
all_CXXFLAGS = -std=c++20 $(warnings) $(WERROR) -fPIE -fvisibility=hidden -Iinclude -Isrc -I$(BUILD)/include -I. \
  $(EVENT_CFLAGS) $(JANSSON_CFLAGS) $(OPENSSL_CFLAGS) $(CRYPT_CFLAGS) $(WSLAY_CFLAGS) $(CMOCKA_CFLAGS) \
  $(CPPFLAGS) $(CXXFLAGS) $(hardening)
all_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

# $(BUILD)/flags and $(BUILD)/folders hold what was used last. They are written only when that differs, and what
# depends on them is then made again: `make CXXFLAGS=-O3` and `make prefix=/usr` just work.
quote = '$(subst ','\'',$(1))'
.PHONY: FORCE
$(BUILD)/flags: now = $(CXX) $(all_CXXFLAGS) $(lto) $(all_LDFLAGS) $(runtime)
$(BUILD)/folders: now = $(foreach f,$(folders),$(f)=$($(f)))
$(BUILD)/flags $(BUILD)/folders: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' $(call quote,$(now)) | cmp -s - $@ || printf '%s\n' $(call quote,$(now)) >$@

# ---- folders. Scripts, manuals and samples in the tree name the usual ones, so that each can be read and run as it
# is; $(BUILD)/placed/FILE is the same with the folders of this build, and is what gets installed.

folders := prefix exec_prefix bindir sbindir sysconfdir localstatedir datarootdir datadir mandir docdir pythondir
move = -e 's|$(1)/vncauthproxy|$(2)/vncauthproxy|g'
$(BUILD)/placed/%: % $(BUILD)/folders
	@mkdir -p $(@D)
	$(Q)sed $(call move,/usr/bin,$(bindir)) $(call move,/usr/sbin,$(sbindir)) $(call move,/etc,$(sysconfdir)) \
	  $(call move,/etc/default,$(sysconfdir)/default) $(call move,/etc/init.d,$(sysconfdir)/init.d) \
	  $(call move,/var/lib,$(localstatedir)/lib) $(call move,/var/log,$(localstatedir)/log) \
	  $(call move,/var/run,$(localstatedir)/run) $(call move,/usr/share/doc,$(patsubst %/,%,$(dir $(docdir)))) \
	  $< >$@ && chmod --reference=$< $@

# Folders that programs know: #include "folders.h"
$(BUILD)/include/folders.h: $(BUILD)/folders
	@mkdir -p $(@D)
	@printf '#define %s "%s"\n' SYSCONFDIR '$(sysconfdir)' LOCALSTATEDIR '$(localstatedir)' DATADIR '$(datadir)' >$@

# ---- libraries

layers := base proto net ipc master worker
objects = $(patsubst %,$(BUILD)/obj/src/%.o,$(1))
define library
$(BUILD)/lib$(1).a: $(call objects,$(addprefix $(1)/,$($(1)_SRC)))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) crs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(layers),$(eval $(call library,$(l))))

# What a program of a layer is linked with: that layer and all below it, then the system's libraries.
below_base := base
below_proto := proto $(below_base)
below_net := net $(below_proto)
below_ipc := ipc $(below_net)
below_master := master $(below_ipc)
below_worker := worker $(below_ipc)
archives = $(patsubst %,$(BUILD)/lib%.a,$(if $(word 2,$(1)),$(filter-out $(below_ipc),$(1)) $(below_ipc),$(below_$(1))))
syslibs_base = $(OPENSSL_LIBS) $(CRYPT_LIBS)
syslibs_proto = $(JANSSON_LIBS) $(WSLAY_LIBS) $(syslibs_base)
syslibs_net = $(EVENT_LIBS) $(syslibs_proto)
syslibs_ipc = $(syslibs_net)
syslibs_master = $(syslibs_net)
syslibs_worker = $(syslibs_net)
syslibs = $(syslibs_$(firstword $(1)))

$(BUILD)/obj/src/%.o $(addprefix $(BUILD)/,$(PROGRAMS)): private link_time = $(lto)
$(addprefix $(BUILD)/,$(PROGRAMS)): private own_runtime = $(runtime)

# .d files name the headers of the next builds; the first build needs the generated ones in place.
$(BUILD)/obj/%.o: %.cc $(BUILD)/flags config.h | $(BUILD)/include/folders.h
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(all_CXXFLAGS) $(link_time) -MMD -MP -c -o $@ $<

config.h: ;

# How everything is linked: $(call link,OUTPUT,OBJECTS,LAYERS,MORE LIBRARIES)
define link
$(1): $(2) $(call archives,$(3))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(all_CXXFLAGS) $$(link_time) $$(all_LDFLAGS) $$(own_runtime) -o $$@ $$^ $$(call syslibs,$(3)) $(4) $$(LIBS)
endef

$(foreach p,$(PROGRAMS),$(eval $(call link,$(BUILD)/$(p),$(call objects,$($(p)_SRC)),$($(p)_TOP))))

# ---- unit tests: only what lies below is linked, so the linker proves the arrows. Those with sockets share the
# sockets of the end-to-end tests.

UNIT_TESTS := $(foreach l,$(layers),$(patsubst %,$(BUILD)/tests/test_%,$(unit_$(l))))
$(foreach l,$(layers),$(foreach t,$(unit_$(l)),$(eval \
  $(call link,$(BUILD)/tests/test_$(t),$(BUILD)/obj/tests/test_$(t).o \
    $(if $(filter-out base proto,$(l)),$(BUILD)/tests/libsupport.a),$(l),$$(CMOCKA_LIBS)))))

# ---- end-to-end tests: linked with the support library and the project's own proto/, for the cipher

support_objects = $(patsubst %,$(BUILD)/obj/tests/%.o,$(1))
$(BUILD)/tests/libsupport.a: $(call support_objects,$(addprefix support/,$(support_SRC)))
	$(call say,AR,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) crs $@ $(filter %.o,$^)

$(foreach p,$(SUPPORT_PROGRAMS),$(eval \
  $(call link,$(BUILD)/tests/$(p),$(call support_objects,support/$(p)) $(BUILD)/tests/libsupport.a,proto,-pthread)))
E2E_TESTS := $(patsubst %,$(BUILD)/tests/e2e/test_%,$(E2E))
$(foreach t,$(E2E),$(eval $(call link,$(BUILD)/tests/e2e/test_$(t),\
  $(call support_objects,e2e/test_$(t) support/stage) $(BUILD)/tests/libsupport.a,proto,-pthread $$(CMOCKA_LIBS))))

# ---- fuzzing: `make check` replays each corpus with any compiler; `make fuzz` builds the fuzzers, with clang
#
# To hunt:   make fuzz && mkdir -p build/new && build/fuzz/fuzz_control build/new tests/fuzz/corpus/control
# What it finds goes into the first folder; a broken promise becomes a file that belongs into the corpus.

fuzz_layers := $(foreach l,$(layers),$(if $(fuzz_$(l)),$(l)))

FUZZ_REPLAYS := $(foreach l,$(fuzz_layers),$(patsubst %,$(BUILD)/tests/fuzz/fuzz_%,$(fuzz_$(l))))
$(foreach l,$(fuzz_layers),$(foreach f,$(fuzz_$(l)),$(eval \
  $(call link,$(BUILD)/tests/fuzz/fuzz_$(f),$(patsubst %,$(BUILD)/obj/tests/fuzz/%.o,fuzz_$(f) replay),$(l)))))

FUZZ_CXX ?= clang++
fuzz_hardening = -fsanitize=$(1),address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1
# Private: what these need ($(BUILD)/flags) is as for everybody else.
$(BUILD)/obj/fuzz/%.o: private hardening = $(call fuzz_hardening,fuzzer-no-link)
$(BUILD)/obj/fuzz/%.o: %.cc $(BUILD)/flags config.h | $(BUILD)/include/folders.h
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CXX) $(all_CXXFLAGS) -MMD -MP -c -o $@ $<

define fuzzer
FUZZERS += $(BUILD)/fuzz/fuzz_$(1)
$(BUILD)/fuzz/fuzz_$(1): private hardening = $(call fuzz_hardening,fuzzer)
$(BUILD)/fuzz/fuzz_$(1): $(patsubst %,$(BUILD)/obj/fuzz/%.o,tests/fuzz/fuzz_$(1) \
    $(foreach l,$(below_$(2)),$(addprefix src/$(l)/,$($(l)_SRC))))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CXX) $$(all_CXXFLAGS) $$(all_LDFLAGS) -o $$@ $$^ $$(call syslibs,$(2)) $$(LIBS)
endef
FUZZERS :=
$(foreach l,$(fuzz_layers),$(foreach f,$(fuzz_$(l)),$(eval $(call fuzzer,$(f),$(l)))))

.PHONY: fuzz
fuzz: $(FUZZERS)

# ---- what there is to do

.DEFAULT_GOAL := all
.PHONY: all check
all: $(addprefix $(BUILD)/,$(PROGRAMS))

# NAME=COMMAND for tests/scripts/run-tests.sh. CHECK picks by name before anything is built.
TESTS := $(foreach t,$(UNIT_TESTS),unit/$(notdir $(t))=$(t)) \
  $(foreach t,$(FUZZ_REPLAYS),fuzz/$(notdir $(t))=$(t)) \
  $(foreach t,$(E2E_TESTS),e2e/$(notdir $(t))=$(t)) \
  $(foreach s,$(SCRIPTS),script/$(s)=tests/scripts/$(s).sh)
is_chosen = $(or $(if $(CHECK),,all),$(foreach w,$(CHECK),$(findstring $(w),$(firstword $(subst =, ,$(1))))))
chosen := $(strip $(foreach t,$(TESTS),$(if $(strip $(call is_chosen,$(t))),$(t))))
ifneq ($(filter check,$(MAKECMDGOALS)),)
$(if $(CMOCKA_LIBS),,$(error cmocka was not found: run ./bootstrap --tests))
$(if $(chosen),,$(error no test has one of "$(CHECK)" in its name))
endif

check: all $(addprefix $(BUILD)/tests/,$(SUPPORT_PROGRAMS)) $(filter $(BUILD)/%,$(foreach t,$(chosen),$(lastword $(subst =, ,$(t)))))
	@BUILD='$(BUILD)' VNCAUTHPROXY_BUILD='$(abspath $(BUILD))' SANITIZE='$(SANITIZE)' MAKE='$(MAKE)' CXX='$(CXX)' PYTHON3='$(PYTHON3)' \
	  tests/scripts/run-tests.sh $(BUILD)/check $(chosen)

# ---- the demo

.PHONY: demo
demo: all $(addprefix $(BUILD)/tests/,$(SUPPORT_PROGRAMS))
	@BUILD='$(BUILD)' tests/support/demo.sh

# ---- install and uninstall, from the same lists

manuals := $(sort $(wildcard man/*.[1-8]))
program_folder = $(if $(filter vncauthproxy,$(1)),$(sbindir),$(bindir))
manual_folder = $(mandir)/man$(patsubst .%,%,$(suffix $(1)))

# The Python package (--with-pythondir), and the line that tells Python's own tools that it is there.
python_package := \
  __init__.py \
  _exchange.py \
  client.py \
  d3des.py \
  py.typed \
  vapclient.py
python_folder = $(addsuffix /vncauthproxy,$(pythondir))
$(BUILD)/vncauthproxy.egg-info: config.mk
	@mkdir -p $(@D)
	@printf '%s\n' 'Metadata-Version: 2.1' 'Name: vncauthproxy' 'Version: $(VERSION)' >$@

# MODE:FILE:PLACE
installed = \
  $(foreach p,$(PROGRAMS),755:$(BUILD)/$(p):$(call program_folder,$(p))/$(p)) \
  755:$(BUILD)/placed/contrib/init.d/vncauthproxy:$(sysconfdir)/init.d/vncauthproxy \
  $(foreach m,$(manuals),644:$(BUILD)/placed/$(m):$(call manual_folder,$(m))/$(notdir $(m))) \
  $(foreach d,README.md NEWS.md,644:$(d):$(docdir)/$(d)) \
  $(if $(pythondir),644:$(BUILD)/vncauthproxy.egg-info:$(pythondir)/vncauthproxy.egg-info \
    $(foreach m,$(python_package),644:contrib/python/vncauthproxy/$(m):$(python_folder)/$(m)))
# What people edit is never overwritten: the new version goes beside it, as FILE.new.
configuration = \
  644:$(BUILD)/placed/conf/vncauthproxy.conf:$(sysconfdir)/vncauthproxy/vncauthproxy.conf \
  644:$(BUILD)/placed/conf/vncauthproxy.default:$(sysconfdir)/default/vncauthproxy
users_folder = $(localstatedir)/lib/vncauthproxy
own_folders = $(sysconfdir)/vncauthproxy $(docdir) $(users_folder) $(python_folder)

file_of = $(word 2,$(subst :, ,$(1)))
split := mode=$${item%%:*}; from=$${item\#*:}; from=$${from%%:*}; to='$(DESTDIR)'$${item\#\#*:}

.PHONY: install uninstall
install: all $(foreach i,$(installed) $(configuration),$(call file_of,$(i)))
	@set -e; for item in $(installed); do $(split); \
	  echo "  INST  $$to"; \
	  $(INSTALL) -D -m "$$mode" "$$from" "$$to"; \
	done
	@set -e; for item in $(configuration); do $(split); \
	  if cmp -s "$$from" "$$to"; then rm -f "$$to.new"; continue; fi; \
	  if [ -e "$$to" ]; then echo "  KEPT  $$to (the new version is $$to.new)"; to=$$to.new; fi; \
	  echo "  INST  $$to"; \
	  $(INSTALL) -D -m "$$mode" "$$from" "$$to"; \
	done
	@$(INSTALL) -d -m 755 '$(DESTDIR)$(users_folder)'
	@if [ -z '$(DESTDIR)' ] && ! id -u vncauthproxy >/dev/null 2>&1; then \
	  printf '%s\n' 'The daemon becomes the user vncauthproxy, which does not exist yet. To make it:' \
	    '  useradd --system --user-group --no-create-home --home-dir $(localstatedir)/run/vncauthproxy' \
	    '    --shell /usr/sbin/nologin vncauthproxy'; \
	fi

uninstall: $(foreach i,$(configuration),$(call file_of,$(i)))
	@for item in $(installed); do $(split); rm -f "$$to"; done
	$(if $(pythondir),@rm -rf '$(DESTDIR)$(python_folder)/__pycache__')
	@for item in $(configuration); do $(split); \
	  rm -f "$$to.new"; \
	  if cmp -s "$$from" "$$to"; then rm -f "$$to"; elif [ -e "$$to" ]; then echo "  KEPT  $$to (edited)"; fi; \
	done
	@for folder in $(own_folders); do \
	  if [ -d '$(DESTDIR)'"$$folder" ]; then rmdir --ignore-fail-on-non-empty '$(DESTDIR)'"$$folder"; fi; \
	done

# ---- the tarball: what git has, and configure, so that nobody who builds it needs autoconf

TARBALL_NAME := vncauthproxy-$(VERSION)
git := git -c safe.directory='$(CURDIR)' -c tar.umask=022

.PHONY: dist distcheck
dist:
	@[ -e .git ] || { echo 'make dist: this is no git checkout' >&2; exit 1; }
	@[ -z "$$(find configure.ac -newer configure)" ] || { echo 'make dist: run ./bootstrap first' >&2; exit 1; }
	@[ -z "$$($(git) status --porcelain)" ] || echo 'make dist: what is not committed is left out' >&2
	$(call say,DIST,$(TARBALL_NAME).tar.gz)
	@rm -rf $(BUILD)/dist && mkdir -p $(BUILD)/dist
	$(Q)$(git) archive --prefix=$(TARBALL_NAME)/ HEAD | tar -x -C $(BUILD)/dist
	$(Q)cp configure config.h.in $(BUILD)/dist/$(TARBALL_NAME)
	$(Q)tar -c -C $(BUILD)/dist --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$$($(git) log -1 --format=%ct)" \
	  $(TARBALL_NAME) | gzip -9n >$(TARBALL_NAME).tar.gz
	@rm -rf $(BUILD)/dist

distcheck: dist
	@tests/scripts/distcheck.sh $(TARBALL_NAME).tar.gz $(BUILD)/distcheck $(filter -j%,$(MAKEFLAGS))

# ---- the bench (tests/bench): a load generator, the floor under a set-up, and run.py that puts proxies side by side
#
#   make bench                        everything, several minutes; tables, and $(BUILD)/bench.json
#   make bench BENCH_ARGS="WORD..."   only some: bulk trip setup memory growth crowd (run.py --help)
#   BENCH_QUICK=1                     each mode for a moment only: whether it works, not how fast

bench_SRC := \
  backend \
  cores \
  fleet \
  line \
  load \
  loop \
  process_tree \
  viewer \
  ws_frames
BENCH := $(BUILD)/bench/floor $(BUILD)/bench/load
$(eval $(call link,$(BUILD)/bench/load,$(patsubst %,$(BUILD)/obj/tests/bench/%.o,$(bench_SRC)),proto))
$(BUILD)/bench/floor: $(BUILD)/obj/tests/bench/floor.o
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(all_CXXFLAGS) $(all_LDFLAGS) -o $@ $^

.PHONY: bench
bench: all $(BENCH)
	tests/bench/run.py --build '$(BUILD)' $(BENCH_ARGS)
# `make check` has it all run for a moment, as script/check-bench.
check: $(if $(filter script/check-bench=%,$(chosen)),$(BENCH))

.PHONY: clean distclean
clean:
	rm -rf $(BUILD)
distclean:
	rm -rf build build-* config.mk config.h config.log config.status autom4te.cache

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
