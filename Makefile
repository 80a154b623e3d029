# SPDX-License-Identifier: GPL-2.0-or-later
# The Makefile: static, GNU make, no recursion. `configure` writes config.mk beside it; the rules are in mk/.
#
#   make [all]        the programs, into build/
#   make check        unit tests, end-to-end tests, scripts; each line tells how far it is, the last one is "N passed, N failed"
#   make demo         a real VNC server, the daemon, a viewer and a browser, shown step by step
#   make bench        side by side with other proxies
#   make fuzz         the fuzzers, with clang (mk/fuzz.mk says how to use them)
#   make install      programs, manuals, configuration (edited files are kept); make install-strip leaves
#                     debugging symbols out; make uninstall takes it back
#   make dist         vncauthproxy-VERSION.tar.gz; make distcheck proves that it builds, installs and leaves nothing
#   make clean        the build folder; make distclean also what configure wrote
#
#   V=1                          show the commands
#   SANITIZE=address,undefined   build and check with sanitizers (into a build folder of its own)
#   BUILD=DIR                    where objects and programs go (build)
#   CHECK="WORD..."              check: only tests whose name contains one of the words (unit, fuzz, e2e, script, relay)
#   LOG_TO=file|syslog|-         check: where the daemons of end-to-end tests log to (file)
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

# The layers, the upper ones first: every folder of src/ with the sources in it becomes a static library.
layers := master nursery worker ipc net proto users config base
# What each layer uses directly; it may include, and is linked with, that and all below it. check-includes reads this.
uses_master := ipc
uses_nursery := worker
uses_worker := ipc
uses_ipc := net
uses_net := proto
uses_proto := users config
uses_users := base
uses_config := base
uses_base :=
# The system's libraries that a layer needs.
libs_worker = $(ZLIB_LIBS)
libs_net = $(EVENT_LIBS)
libs_proto = $(JANSSON_LIBS) $(WSLAY_LIBS)
libs_users = $(CRYPT_LIBS)
libs_base = $(OPENSSL_LIBS)

# The programs, where their sources are, and what those use.
PROGRAMS := vncauthproxy vncauthproxy-client vncauthproxy-passwd
vncauthproxy_SRC := src
uses_src := master nursery
vncauthproxy-client_SRC := src/client
uses_client := net
vncauthproxy-passwd_SRC := src/passwd
uses_passwd := users

.DEFAULT_GOAL := all
.PHONY: all clean distclean FORCE
all: $(addprefix $(BUILD)/,$(PROGRAMS))

include mk/build.mk mk/tests.mk mk/fuzz.mk mk/bench.mk mk/install.mk mk/dist.mk

clean:
	rm -rf $(BUILD)
distclean:
	rm -rf build build-* config.mk config.h config.log config.status autom4te.cache
