/*-------------------------------------------------------------------------
 *
 * omenvec.c
 *	  What happens once when the library is loaded.
 *
 * Every folder that has something to prepare does so in a function of its
 * own, called from _PG_init().  Only the choice of kernels is made here: the
 * kernels are plain code that knows no settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_bitmap.h"
#include "src/am/am_range.h"
#include "src/kernels/kernels.h"

#include "fmgr.h"
#include "utils/guc.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/* Number of the variant in omen_kernels_available(), or SIMD_AUTO. */
#define SIMD_AUTO (-1)

static int	simd_setting = SIMD_AUTO;

static void
simd_assign(int newval, void *extra)
{
	const OmenKernels *const *tables;
	const char *name = "auto";

	if (newval != SIMD_AUTO)
	{
		(void) omen_kernels_available(&tables);
		name = tables[newval]->name;
	}
	if (!omen_kernels_select(name))
		elog(ERROR, "could not select kernels \"%s\"", name);
}

/*
 * The values of omenvec.simd are those that this machine can run, so that a
 * wrong one is refused with a hint that lists the right ones.
 */
static void
simd_define(void)
{
	const OmenKernels *const *tables;
	int			n_tables = omen_kernels_available(&tables);
	struct config_enum_entry *options;

	options = MemoryContextAllocZero(TopMemoryContext,
									 (n_tables + 2) * sizeof(*options));
	options[0].name = "auto";
	options[0].val = SIMD_AUTO;
	for (int i = 0; i < n_tables; i++)
	{
		options[i + 1].name = tables[i]->name;
		options[i + 1].val = i;
	}

	DefineCustomEnumVariable("omenvec.simd",
							 "Instruction set of the distance kernels.",
							 "\"auto\" takes the best one that this machine has. "
							 "Results of an index do not depend on it.",
							 &simd_setting,
							 SIMD_AUTO,
							 options,
							 PGC_USERSET,
							 0,
							 NULL,
							 simd_assign,
							 NULL);
}

void
_PG_init(void)
{
	simd_define();
	omen_am_init();
	omen_range_init();
	omen_bitmap_init();
	omen_recall_init();

	/* After all settings are defined: what is left under our names is a typo. */
	MarkGUCPrefixReserved("omenvec");
	MarkGUCPrefixReserved("omenhnsw");
}
