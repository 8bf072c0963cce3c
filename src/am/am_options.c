/*-------------------------------------------------------------------------
 *
 * am_options.c
 *	  Storage parameters of an index, and settings of a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"

#include "access/reloptions.h"
#include "utils/guc.h"

int			omen_am_ef_search = OMEN_DEFAULT_EF_SEARCH;

static relopt_kind omen_relopt_kind;

/* Called once, from _PG_init(). */
void
omen_am_init(void)
{
	omen_relopt_kind = add_reloption_kind();
	add_int_reloption(omen_relopt_kind, "m", "Links of a node on each side of its making",
					  OMEN_DEFAULT_M, OMEN_MIN_M, OMEN_MAX_M, AccessExclusiveLock);
	add_int_reloption(omen_relopt_kind, "ef_construction", "Candidates kept while a node's links are searched",
					  OMEN_DEFAULT_EF_CONSTRUCTION, OMEN_MIN_EF_CONSTRUCTION,
					  OMEN_MAX_EF_CONSTRUCTION, AccessExclusiveLock);

	DefineCustomIntVariable("omenhnsw.ef_search",
							"Number of candidates that a search keeps.",
							"Larger values find more of the true neighbours and take longer.",
							&omen_am_ef_search,
							OMEN_DEFAULT_EF_SEARCH, OMEN_MIN_EF_SEARCH, OMEN_MAX_EF_SEARCH,
							PGC_USERSET, 0, NULL, NULL, NULL);
}

bytea *
omen_am_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt options[] = {
		{"m", RELOPT_TYPE_INT, offsetof(OmenOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(OmenOptions, ef_construction)}
	};

	return (bytea *) build_reloptions(reloptions, validate, omen_relopt_kind,
									  sizeof(OmenOptions), options, lengthof(options));
}

int
omen_am_option_m(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->m : OMEN_DEFAULT_M;
}

int
omen_am_option_ef_construction(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->ef_construction : OMEN_DEFAULT_EF_CONSTRUCTION;
}
