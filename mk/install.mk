# SPDX-License-Identifier: GPL-2.0-or-later
# ---- install and uninstall, from the same lists

STRIP ?= strip

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
  $(foreach d,COPYING README.md NEWS.md $(sort $(wildcard doc/*.md)),644:$(d):$(docdir)/$(d)) \
  $(if $(pythondir),644:$(BUILD)/vncauthproxy.egg-info:$(pythondir)/vncauthproxy.egg-info \
    $(foreach m,$(python_package),644:contrib/python/vncauthproxy/$(m):$(python_folder)/$(m)))
# What people edit is never overwritten: the new version goes beside it, as FILE.new.
configuration = \
  644:$(BUILD)/placed/conf/vncauthproxy.conf:$(sysconfdir)/vncauthproxy/vncauthproxy.conf \
  644:$(BUILD)/placed/conf/vncauthproxy.default:$(sysconfdir)/default/vncauthproxy
users_folder = $(localstatedir)/lib/vncauthproxy
log_folder = $(localstatedir)/log/vncauthproxy
own_folders = $(sysconfdir)/vncauthproxy $(docdir)/doc $(docdir) $(users_folder) $(log_folder) $(localstatedir)/run/vncauthproxy \
  $(python_folder)

file_of = $(word 2,$(subst :, ,$(1)))
split := mode=$${item%%:*}; from=$${item\#*:}; from=$${from%%:*}; to='$(DESTDIR)'$${item\#\#*:}

# Sets running: the process that runs the daemon as it is or was installed; empty when there is none.
daemon := $(sbindir)/vncauthproxy
init_script := $(sysconfdir)/init.d/vncauthproxy
find_running = running=$$(mk/find-running.sh '$(DESTDIR)$(daemon)')

.PHONY: install install-strip uninstall
install-strip: strip = -s --strip-program=$(STRIP)
install-strip: install
install: all $(foreach i,$(installed) $(configuration),$(call file_of,$(i)))
	@set -e; for item in $(installed); do $(split); \
	  case ' $(addprefix $(BUILD)/,$(PROGRAMS)) ' in *" $$from "*) strip="$(strip)" ;; *) strip= ;; esac; \
	  echo "  INST  $$to"; \
	  $(INSTALL) -D $$strip -m "$$mode" "$$from" "$$to"; \
	done
	@set -e; for item in $(configuration); do $(split); \
	  if cmp -s "$$from" "$$to"; then rm -f "$$to.new"; continue; fi; \
	  if [ -e "$$to" ]; then echo "  KEPT  $$to (the new version is $$to.new)"; to=$$to.new; fi; \
	  echo "  INST  $$to"; \
	  $(INSTALL) -D -m "$$mode" "$$from" "$$to"; \
	done
	@$(INSTALL) -d -m 755 '$(DESTDIR)$(users_folder)'
	@if [ -z '$(DESTDIR)' ] && ! id -u vncauthproxy >/dev/null 2>&1; then \
	  echo 'The daemon becomes the user vncauthproxy, which does not exist yet. To make it:'; \
	  echo '  useradd --system --user-group --home-dir /nonexistent --shell /usr/sbin/nologin vncauthproxy'; \
	fi
	@$(find_running); if [ -n "$$running" ]; then \
	  echo "The daemon that runs (process $$running) is still the one from before. To replace it, which ends its sessions:"; \
	  echo '  $(init_script) restart'; \
	fi

uninstall: $(foreach i,$(configuration),$(call file_of,$(i)))
	@$(find_running); if [ -n "$$running" ]; then \
	  echo "make uninstall: the daemon runs (process $$running); to stop it: $(init_script) stop" >&2; exit 1; \
	fi
	@for item in $(installed); do $(split); rm -f "$$to"; done
	$(if $(pythondir),@rm -rf '$(DESTDIR)$(python_folder)/__pycache__')
	@for item in $(configuration); do $(split); \
	  rm -f "$$to.new"; \
	  if cmp -s "$$from" "$$to"; then rm -f "$$to"; elif [ -e "$$to" ]; then echo "  KEPT  $$to (edited)"; fi; \
	done
	@for folder in $(own_folders); do \
	  if [ -d '$(DESTDIR)'"$$folder" ]; then rmdir --ignore-fail-on-non-empty '$(DESTDIR)'"$$folder"; fi; \
	done
	@for folder in $(users_folder) $(log_folder); do find '$(DESTDIR)'"$$folder" -type f 2>/dev/null; done | sed 's|^|  KEPT  |'
	@find '$(DESTDIR)$(sysconfdir)'/rc?.d -name '[KS]??vncauthproxy' 2>/dev/null | \
	  sed 's|.*|  KEPT  & (update-rc.d vncauthproxy remove)|'
	@if [ -z '$(DESTDIR)' ] && id -u vncauthproxy >/dev/null 2>&1; then \
	  echo '  KEPT  the user vncauthproxy (userdel vncauthproxy)'; \
	fi
