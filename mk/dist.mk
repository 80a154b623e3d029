# SPDX-License-Identifier: GPL-2.0-or-later
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

