# SPDX-License-Identifier: GPL-2.0-or-later
# The bench (tests/bench): a load generator, the floor under a set-up, and run.py that puts proxies side by side.
#
#   make bench                        everything, several minutes; tables, and $(BUILD)/bench.json
#   make bench BENCH_ARGS="WORD..."   only some: bulk trip setup burst memory growth crowd (run.py --help)
#   BENCH_QUICK=1                     each mode for a moment only: whether it works, not how fast

BENCH := $(BUILD)/bench/floor $(BUILD)/bench/load
bench_sources := $(filter-out tests/bench/floor,$(call sources,tests/bench))
$(eval $(call link,$(BUILD)/bench/load,$(call objects,$(bench_sources)),proto))
$(eval $(call link,$(BUILD)/bench/floor,$(call objects,tests/bench/floor)))

.PHONY: bench
bench: all $(BENCH)
	tests/bench/run.py --build '$(BUILD)' $(BENCH_ARGS)
# `make check` has it all run for a moment, as script/check-bench.
check_programs += $(if $(filter script/check-bench=%,$(chosen)),$(BENCH))
