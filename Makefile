# omenvec: vector search for PostgreSQL.  Built with PGXS; see README.md.
#
#	make && sudo make install		build and install for the server of PG_CONFIG
#	make installcheck				all tests that need a server, against a running one
#	make lint						what can be checked without a server
#	./dev test						everything, with a private server of its own

EXTENSION = omenvec
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(srcdir)/omenvec.control)
MODULE_big = omenvec

SOURCES = $(sort $(wildcard $(srcdir)/src/*.c $(srcdir)/src/*/*.c))
OBJS = $(patsubst $(srcdir)/%.c,%.o,$(SOURCES))

# The full script of this version is put together from its parts; whatever else
# lies in install/ has been released and never changes.
SQL_PARTS = $(sort $(wildcard $(srcdir)/install/parts/*.sql))
DATA_built = install/omenvec--$(EXTVERSION).sql
DATA = $(filter-out $(DATA_built),$(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/install/*--*.sql)))

REGRESS = $(patsubst $(srcdir)/sql/%.sql,%,$(sort $(wildcard $(srcdir)/sql/*.sql)))
REGRESS_OPTS = --inputdir=$(srcdir) --load-extension=omenvec
ISOLATION = $(patsubst $(srcdir)/specs/%.spec,%,$(sort $(wildcard $(srcdir)/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir) --load-extension=omenvec
TAP_TESTS = 1

# No contraction to fused multiply-add: code distances must have the same bits
# on every machine.  The server's headers count as system headers, so that
# -Wextra speaks of our code only; callbacks leave parameters unused by nature.
FP_FLAGS = -ffp-contract=off
PG_CFLAGS = -O3 $(FP_FLAGS) -Wall -Wextra -Wno-unused-parameter
PG_CPPFLAGS = -I$(srcdir) -isystem $(includedir_server)

# Libraries share one symbol space in a backend: bind our names to ourselves.
comma = ,
SHLIB_LINK = $(if $(filter linux,$(PORTNAME)),-Wl$(comma)-Bsymbolic)

EXTRA_CLEAN = tmp_check tmp_instance output_iso

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

BITCODE_CFLAGS += $(FP_FLAGS)

# PGXS tracks no headers; a change of one rebuilds everything.
HEADERS_USED = $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h)
$(OBJS) $(OBJS:.o=.bc): $(HEADERS_USED) $(srcdir)/Makefile

$(DATA_built): $(SQL_PARTS) $(srcdir)/omenvec.control
	@mkdir -p $(@D)
	cat $(SQL_PARTS) > $@.tmp && mv $@.tmp $@

# Expected outputs hold what VACUUM has done, not what a worker will do soon.
installcheck: export PGOPTIONS += -c omenvec.max_maintenance_workers=0

.PHONY: lint check-version check-layers check-text check-symbols unit

lint: check-version check-layers check-text check-symbols

check-version:
	@$(srcdir)/tools/check-version

check-layers:
	@$(srcdir)/tools/check-layers

check-text:
	@$(srcdir)/tools/check-text

check-symbols: all-lib
	@$(srcdir)/tools/check-symbols $(shlib)

unit:
	$(MAKE) -C $(srcdir)/unit check

clean: clean-unit

.PHONY: clean-unit
clean-unit:
	@if [ -f $(srcdir)/unit/Makefile ]; then $(MAKE) -C $(srcdir)/unit clean; fi
