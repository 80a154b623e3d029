# SPDX-License-Identifier: GPL-2.0-or-later
# The one Makefile: static, GNU make, no recursion. `configure` writes config.mk beside it.
#
#   make [all] | check | bench | demo | install | uninstall | dist | distcheck | clean | distclean
#
#   V=1                          show the commands
#   SANITIZE=address,undefined   build and check with sanitizers (into a build folder of its own)
#   BUILD=DIR                    where objects and programs go (build)
#   CHECK=PATTERN                run only the test programs whose name contains PATTERN

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

# ---- sources: one static library per folder, linked in the order of the arrows (DESIGN: main -> ... -> base)

base_SRC := \
  fd \
  secret

proto_SRC := \
  control \
  rfb \
  rfb_client \
  rfb_server \
  vnc_auth

net_SRC :=

ipc_SRC :=

master_SRC :=

worker_SRC :=

daemon_SRC :=

# Programs: their own objects; the libraries they link.
PROGRAMS :=

# Unit tests: test_NAME is built from tests/test_NAME.cc and the libraries named here, nothing above them.
unit_base := \
  fd \
  secret
unit_proto := \
  rfb \
  vnc_auth
unit_net :=
unit_ipc :=
unit_master :=
unit_worker :=

# ---- flags

warnings := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 \
  -Wcast-qual -Wundef -Werror
ifeq ($(SANITIZE),)
hardening := -fstack-protector-strong -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
else
hardening := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer -O1
endif
all_CXXFLAGS = -std=c++20 $(warnings) -fPIE -fvisibility=hidden -Iinclude -Isrc -I. $(EVENT_CFLAGS) $(JANSSON_CFLAGS) \
  $(OPENSSL_CFLAGS) $(CRYPT_CFLAGS) $(WSLAY_CFLAGS) $(CPPFLAGS) $(CXXFLAGS) $(hardening)
all_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

# ---- libraries

layers := base proto net ipc master worker daemon
objects = $(patsubst %,$(BUILD)/obj/src/$(1)/%.o,$($(1)_SRC))
define library
$(BUILD)/lib$(1).a: $(call objects,$(1))
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) crs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(filter-out daemon,$(layers)),$(eval $(call library,$(l))))

# What a program of a layer is linked with: that layer and all below it, then the system's libraries.
libs_base := base
libs_proto := proto $(libs_base)
libs_net := net $(libs_proto)
libs_ipc := ipc $(libs_net)
libs_master := master $(libs_ipc)
libs_worker := worker $(libs_ipc)
archives = $(patsubst %,$(BUILD)/lib%.a,$(libs_$(1)))
syslibs_base = $(OPENSSL_LIBS) $(CRYPT_LIBS)
syslibs_proto = $(JANSSON_LIBS) $(WSLAY_LIBS) $(syslibs_base)
syslibs_net = $(EVENT_LIBS) $(syslibs_proto)
syslibs_ipc = $(syslibs_net)
syslibs_master = $(syslibs_net)
syslibs_worker = $(syslibs_net)

$(BUILD)/obj/%.o: %.cc config.h config.mk
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(all_CXXFLAGS) -MMD -MP -c -o $@ $<

config.h: ;

# ---- unit tests: only what lies below is linked, so the linker proves the arrows

define unit_test
$(BUILD)/tests/test_$(2): $(BUILD)/obj/tests/test_$(2).o $(call archives,$(1))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(all_CXXFLAGS) $$(all_LDFLAGS) -o $$@ $$^ $(syslibs_$(1)) $$(CMOCKA_LIBS) $$(LIBS)
UNIT_TESTS += $(BUILD)/tests/test_$(2)
endef
UNIT_TESTS :=
$(foreach l,base proto net ipc master worker,$(foreach t,$(unit_$(l)),$(eval $(call unit_test,$(l),$(t)))))

.DEFAULT_GOAL := all
.PHONY: all check
all: $(addprefix $(BUILD)/,$(PROGRAMS))

check: all $(UNIT_TESTS)
	@set -e; for t in $(filter $(if $(CHECK),%$(CHECK)%,%),$(UNIT_TESTS)); do echo "== $$t"; $$t; done

.PHONY: clean distclean
clean:
	rm -rf $(BUILD)
distclean:
	rm -rf build build-* config.mk config.h config.log config.status autom4te.cache

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
