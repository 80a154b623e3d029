# SPDX-License-Identifier: GPL-2.0-or-later
# Tests, all found by wildcard:
#   tests/test_NAME.cc           unit test of the module NAME, which is a file of exactly one layer: src/LAYER/NAME.cc
#                                or one of its headers; linked with that layer and what it uses
#   tests/e2e/test_NAME.cc       runs the built programs, which it finds through VNCAUTHPROXY_BUILD
#   tests/scripts/check-NAME.sh  a script

# $(call layer_of,PREFIX,FILE): the layer of the module that FILE, PREFIX and the module's name, tests.
layers_with = $(foreach l,$(layers),$(if $(wildcard $(addprefix src/$(l)/$(1).,cc h) include/vncauthproxy/$(l)/$(1).h),$(l)))
one_of = $(if $(filter 1,$(words $(2))),$(strip $(2)),$(error $(1).cc needs the name of a file of one layer; it is in: "$(strip $(2))"))
layer_of = $(call one_of,$(2),$(call layers_with,$(patsubst $(1)%,%,$(2))))

# ---- tests/support: what end-to-end tests and unit tests with sockets stand on (no CMocka but in stage), and its
# programs, which `make demo` uses too

support_programs := painter vncshot webshot
support := $(BUILD)/tests/libsupport.a
support_sources := $(filter-out $(addprefix tests/support/,stage $(support_programs)),$(call sources,tests/support))
$(eval $(call archive,$(support),$(call objects,$(support_sources))))
SUPPORT_PROGRAMS := $(addprefix $(BUILD)/tests/,$(support_programs))
$(foreach p,$(support_programs),$(eval \
  $(call link,$(BUILD)/tests/$(p),$(call objects,tests/support/$(p)) $(support),proto,-pthread)))

# ---- the programs

unit_tests := $(filter tests/test_%,$(call sources,tests))
$(foreach t,$(unit_tests),$(eval layer := $(call layer_of,tests/test_,$(t)))$(eval \
  $(call link,$(BUILD)/$(t),$(call objects,$(t)) $(if $(filter net,$(call linked,$(layer))),$(support)),$(layer),$$(CMOCKA_LIBS))))

e2e_tests := $(filter tests/e2e/test_%,$(call sources,tests/e2e))
$(foreach t,$(e2e_tests),$(eval \
  $(call link,$(BUILD)/$(t),$(call objects,$(t) tests/support/stage) $(support),proto,-pthread $$(CMOCKA_LIBS) $$(ZLIB_LIBS))))

# tests/fuzz/fuzz_NAME.cc reads the corpus tests/fuzz/corpus/NAME, with any compiler.
fuzz_tests := $(filter tests/fuzz/fuzz_%,$(call sources,tests/fuzz))
$(foreach t,$(fuzz_tests),$(eval \
  $(call link,$(BUILD)/$(t),$(call objects,$(t) tests/fuzz/replay),$(call layer_of,tests/fuzz/fuzz_,$(t)))))

# ---- make check: NAME=COMMAND for tests/scripts/run-tests.sh. CHECK picks by name before anything is built.

TESTS := $(foreach t,$(unit_tests),unit/$(notdir $(t))=$(BUILD)/$(t)) \
  $(foreach t,$(fuzz_tests),fuzz/$(notdir $(t))=$(BUILD)/$(t)) \
  $(foreach t,$(e2e_tests),e2e/$(notdir $(t))=$(BUILD)/$(t)) \
  $(foreach s,$(sort $(wildcard tests/scripts/check-*.sh)),script/$(basename $(notdir $(s)))=$(s))
is_chosen = $(or $(if $(CHECK),,all),$(foreach w,$(CHECK),$(findstring $(w),$(firstword $(subst =, ,$(1))))))
chosen := $(strip $(foreach t,$(TESTS),$(if $(strip $(call is_chosen,$(t))),$(t))))
ifneq ($(filter check check-programs,$(MAKECMDGOALS)),)
$(if $(CMOCKA_LIBS),,$(error cmocka was not found: run ./bootstrap --tests))
$(if $(chosen),,$(error no test has one of "$(CHECK)" in its name))
endif

check_programs := $(filter $(BUILD)/%,$(foreach t,$(chosen),$(lastword $(subst =, ,$(t)))))
.PHONY: check check-programs demo demo-programs
check-programs:
	+$(call build,all $(SUPPORT_PROGRAMS) $(check_programs))
check: check-programs
	@BUILD='$(BUILD)' VNCAUTHPROXY_BUILD='$(abspath $(BUILD))' SANITIZE='$(SANITIZE)' MAKE='$(MAKE)' CXX='$(CXX)' PYTHON3='$(PYTHON3)' \
	  $(if $(LOG_TO),VNCAUTHPROXY_TEST_LOG_TO='$(LOG_TO)') tests/scripts/run-tests.sh $(BUILD)/check $(chosen)

demo-programs:
	+$(call build,all $(SUPPORT_PROGRAMS))
demo: demo-programs
	@BUILD='$(BUILD)' tests/support/demo.sh
