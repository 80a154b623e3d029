# SPDX-License-Identifier: GPL-2.0-or-later
# How sources become libraries and programs. Sources are found by wildcard: a new file needs no change here.

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %s%-5s %s\n' '$(number)' '$(1)' '$(2)')

# $(call build,GOALS): a recipe that builds them on all cores, unless -j says otherwise, each step with its number. How
# many there are is what a dry run would do, once it can see which flags, folders and lists have changed.
own_make = $(MAKE) --no-print-directory
build = @set -e; $(own_make) $(remembered); \
  steps=$$($(own_make) -n V= STEPS=n GOALS='$(1)' goals | grep -c '^printf .*%-5s' || :); \
  $(own_make) $(if $(filter -j%,$(MAKEFLAGS)),,-j$$(nproc)) STEPS=$$steps GOALS='$(1)' goals
.PHONY: goals
goals: $(GOALS)
	@:
number = $(if $(STEPS),$(eval done += .)[$(words $(done))/$(STEPS)] )

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
  $(EVENT_CFLAGS) $(JANSSON_CFLAGS) $(OPENSSL_CFLAGS) $(CRYPT_CFLAGS) $(WSLAY_CFLAGS) $(ZLIB_CFLAGS) \
  $(CMOCKA_CFLAGS) $(CPPFLAGS) $(CXXFLAGS) $(hardening)
all_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

# $(BUILD)/flags and $(BUILD)/folders hold what was used last. They are written only when that differs, and what
# depends on them is then made again: `make CXXFLAGS=-O3` and `make prefix=/usr` just work.
quote = '$(subst ','\'',$(1))'
remembered = $(BUILD)/flags $(BUILD)/folders
look = $(if $(filter n,$(STEPS)),,FORCE)
remember = @mkdir -p $(@D); printf '%s\n' $(call quote,$(now)) | cmp -s - $@ || printf '%s\n' $(call quote,$(now)) >$@
$(BUILD)/flags: now = $(CXX) $(all_CXXFLAGS) $(lto) $(all_LDFLAGS) $(runtime)
$(BUILD)/folders: now = $(foreach f,$(folders),$(f)=$($(f)))
$(BUILD)/flags $(BUILD)/folders: $(look)
	$(remember)

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

# $(call sources,FOLDER): its sources, without ".cc". $(call objects,SOURCES)
sources = $(basename $(sort $(wildcard $(1)/*.cc)))
objects = $(patsubst %,$(BUILD)/obj/%.o,$(1))
# $(call below,NAME): all that NAME uses. $(call linked,NAME): the layers it is linked with, itself if it is one, in
# the order of a linker's command line. A layer whose folder has no sources is none.
below = $(foreach u,$(uses_$(1)),$(u) $(call below,$(u)))
layers := $(foreach l,$(layers),$(if $(wildcard src/$(l)/*.cc),$(l)))
linked = $(filter $(1) $(call below,$(1)),$(layers))

# .d files name the headers of the next builds; the first build needs the generated ones in place.
$(BUILD)/obj/%.o: %.cc $(BUILD)/flags config.h | $(BUILD)/include/folders.h
	$(call say,CXX,$<)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(all_CXXFLAGS) $(link_time) -MMD -MP -c -o $@ $<

config.h: ;
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)

# $(call archive,FILE,OBJECTS); FILE.list notices that a source was taken away.
define archive
$(1).list: now = $(2)
remembered += $(1).list
$(1).list: $(look)
	$$(remember)
$(1): $(2) $(1).list
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) crs $$@ $$(filter %.o,$$^)
endef
$(foreach l,$(layers),$(eval $(call archive,$(BUILD)/lib$(l).a,$(call objects,$(call sources,src/$(l))))))

# $(call link,PROGRAM,OBJECTS,NAME,MORE LIBRARIES): linked with what NAME uses, nothing above it, so that the linker
# proves the arrows between the layers.
define link
$(1): $(2) $(patsubst %,$(BUILD)/lib%.a,$(call linked,$(3)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CXX) $$(all_CXXFLAGS) $$(link_time) $$(all_LDFLAGS) $$(own_runtime) -o $$@ $$^ \
	  $$(foreach l,$(call linked,$(3)),$$(libs_$$(l))) $(4) $$(LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call link,$(BUILD)/$(p),$(call objects,$(call sources,$($(p)_SRC))),$(notdir $($(p)_SRC)))))

$(BUILD)/obj/src/%.o $(addprefix $(BUILD)/,$(PROGRAMS)): private link_time = $(lto)
$(addprefix $(BUILD)/,$(PROGRAMS)): private own_runtime = $(runtime)
