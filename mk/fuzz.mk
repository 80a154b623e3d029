# SPDX-License-Identifier: GPL-2.0-or-later
# `make fuzz` builds the fuzzers, with clang; `make check` replays each corpus with any compiler (mk/tests.mk).
#
# To hunt:   make fuzz && mkdir -p build/new && build/fuzz/fuzz_control build/new tests/fuzz/corpus/control
# What it finds goes into the first folder; a broken promise becomes a file that belongs into the corpus.

FUZZ_CXX ?= clang++
fuzz_hardening = -fsanitize=$(1),address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1
# Private: what these need ($(BUILD)/flags) is as for everybody else.
$(BUILD)/obj/fuzz/%.o: private hardening = $(call fuzz_hardening,fuzzer-no-link)
$(BUILD)/obj/fuzz/%.o: %.cc $(BUILD)/flags config.h | $(BUILD)/include/folders.h
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CXX) $(all_CXXFLAGS) -MMD -MP -c -o $@ $<

# $(call fuzzer,PROGRAM,SOURCE,LAYER): from objects of its own, of all that the layer is linked with.
define fuzzer
fuzz: $(1)
$(1): private hardening = $(call fuzz_hardening,fuzzer)
$(1): $(patsubst %,$(BUILD)/obj/fuzz/%.o,$(2) $(foreach l,$(call linked,$(3)),$(call sources,src/$(l))))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(FUZZ_CXX) $$(all_CXXFLAGS) $$(all_LDFLAGS) -o $$@ $$^ $$(foreach l,$(call linked,$(3)),$$(libs_$$(l))) $$(LIBS)
endef
$(foreach t,$(fuzz_tests),$(eval \
  $(call fuzzer,$(BUILD)/fuzz/$(notdir $(t)),$(t),$(call layer_of,tests/fuzz/fuzz_,$(t)))))

.PHONY: fuzz
