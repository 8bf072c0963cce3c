/*-------------------------------------------------------------------------
 *
 * index_facet.c
 *	  omenvec_facet(): how many rows have which value of an attribute.
 *
 * Each segment has the values of an attribute in their order, and where the
 * postings of each begin, so that a count is a difference.  The values of the
 * tails are read and sorted.  All these are merged in one pass, which keeps
 * the values that are most frequent.  Rows are counted as long as they are in
 * the index: deleted ones until VACUUM, others' that are not committed too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_reader.h"
#include "src/storage/index_relation.h"
#include "src/storage/tail.h"

#include "fmgr.h"
#include "funcapi.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(omen_inspect_facet);

#define MAX_VALUES 1000000

/* Values in their order, each with a count: those of a segment, or of all tails. */
typedef struct FacetSource
{
	OmenAttributeReader *reader;	/* NULL: the tails */
	uint32		n;				/* values of a segment; rows in tails */
	uint32		next;			/* behind the value in hand */
	bool		finished;
	Datum		value;
	uint64		count;
} FacetSource;

/* One that may be among the most frequent. */
typedef struct FacetValue
{
	Datum		value;
	bool		isnull;
	uint64		count;
	uint64		order;			/* earlier comes first if equally frequent */
} FacetValue;

typedef struct Facet
{
	OmenIndexRelation opened;
	OmenMeta   *meta;
	const OmenAttributes *attributes;
	int			number;			/* of the attribute in hand */
	const OmenAttribute *attribute;

	int			n_sources;
	FacetSource sources[OMEN_MAX_SEGMENTS + 1];
	Datum	   *tail_values;
	uint32		n_tail_values;
	uint32		tail_capacity;
	uint64		n_nulls;

	binaryheap *frequent;		/* the rarest on top */
	uint64		n_seen;
} Facet;

/* ---- which attribute, and whether the user may ---- */

static void
find_attribute(Facet *facet, const char *name)
{
	for (int i = 0; facet->attributes && i < facet->attributes->n; i++)
		if (namestrcmp(&TupleDescAttr(facet->attributes->tuple_desc, i)->attname, name) == 0)
		{
			facet->number = i;
			facet->attribute = &facet->attributes->attributes[i];
			return;
		}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("index \"%s\" has no attribute \"%s\"", RelationGetRelationName(facet->opened.index), name),
			 errdetail("Attributes are the columns of an index after the vector."),
			 errhint("omenvec_attributes() lists them; an expression has a name such as \"expr\".")));
}

/* As if the query were on the table: its values are shown. */
static void
check_permission(const Facet *facet)
{
	Relation	table = facet->opened.table;
	Oid			table_oid = RelationGetRelid(table);

	if (!omen_index_column_is_readable(facet->opened.index, facet->attribute->attno))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(table));
	if (check_enable_rls(table_oid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot count values of table \"%s\", which has row-level security",
						RelationGetRelationName(table)),
				 errdetail("The index knows nothing of policies; counts would tell of rows that are not to be seen."),
				 errhint("Count with a query on the table.")));
}

/* ---- values of the tails ---- */

static void
add_tail_row(Facet *facet, const OmenRow *row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!omen_attributes_unpack(facet->attributes, row->attributes, row->n_attribute_bytes, values, isnull))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("a tail of index \"%s\" contains damaged attributes",
						RelationGetRelationName(facet->opened.index)),
				 errhint("Please REINDEX it.")));
	if (isnull[facet->number])
	{
		facet->n_nulls++;
		return;
	}
	if (facet->n_tail_values == facet->tail_capacity)
	{
		facet->tail_capacity = Max(2 * facet->tail_capacity, 1024);
		facet->tail_values = facet->tail_values == NULL ?
			palloc(facet->tail_capacity * sizeof(Datum)) :
			repalloc_huge(facet->tail_values, facet->tail_capacity * sizeof(Datum));
	}
	facet->tail_values[facet->n_tail_values++] = values[facet->number];
}

static void
read_tail(Facet *facet, const OmenSegment *tail)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));

	omen_tail_reader_init(reader, facet->opened.index, facet->meta, tail);
	while (omen_tail_reader_next(reader))
	{
		for (int i = 0; i < reader->n_rows; i++)
		{
			OmenRow		row = omen_tail_row(reader, i);

			if ((row.header.flags & OMEN_ROW_DEAD) == 0)
				add_tail_row(facet, &row);
		}
		omen_tail_reader_release(reader);
		CHECK_FOR_INTERRUPTS();
	}
	pfree(reader);
}

static int
compare_values(const Facet *facet, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &facet->attribute->compare,
										   facet->attribute->collation, a, b));
}

static int
compare_tail_values(const void *a, const void *b, void *arg)
{
	CHECK_FOR_INTERRUPTS();
	return compare_values(arg, *(const Datum *) a, *(const Datum *) b);
}

/* ---- sources ---- */

static void
advance(Facet *facet, FacetSource *source)
{
	uint32		at = source->next;

	CHECK_FOR_INTERRUPTS();
	source->finished = at >= source->n;
	if (source->finished)
		return;
	if (source->reader)
	{
		source->next++;
		source->count = omen_attribute_n_postings(source->reader, facet->number, at, at, NULL);
		source->value = omen_attribute_value(source->reader, facet->number, at);
		return;
	}
	source->value = facet->tail_values[at];
	while (source->next < source->n &&
		   compare_values(facet, facet->tail_values[source->next], source->value) == 0)
		source->next++;
	source->count = source->next - at;
}

static void
open_segment(Facet *facet, const OmenSegment *segment)
{
	FacetSource *source = &facet->sources[facet->n_sources++];

	source->reader = palloc(sizeof(OmenAttributeReader));
	omen_attribute_reader_open(source->reader, facet->opened.index, facet->meta, segment, NULL, facet->attributes);
	source->n = omen_attribute_n_values(source->reader, facet->number);
	facet->n_nulls += omen_attribute_n_postings(source->reader, facet->number, source->n, source->n, NULL);
}

static void
open_sources(Facet *facet)
{
	for (uint32 i = 0; i < facet->meta->n_segments; i++)
	{
		const OmenSegment *segment = &facet->meta->segments[i];

		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			continue;
		if (segment->kind == OMEN_SEGMENT_GRAPH)
			open_segment(facet, segment);
		else
			read_tail(facet, segment);
	}
	if (facet->n_tail_values > 0)
		qsort_arg(facet->tail_values, facet->n_tail_values, sizeof(Datum), compare_tail_values, facet);
	facet->sources[facet->n_sources++].n = facet->n_tail_values;
	for (int i = 0; i < facet->n_sources; i++)
		advance(facet, &facet->sources[i]);
}

static void
close_sources(Facet *facet)
{
	for (int i = 0; i < facet->n_sources; i++)
		if (facet->sources[i].reader)
			omen_attribute_reader_release(facet->sources[i].reader);
}

/* ---- the most frequent ---- */

/* More frequent, or as frequent and earlier, is greater. */
static int
compare_frequency(const FacetValue *a, const FacetValue *b)
{
	if (a->count != b->count)
		return a->count < b->count ? -1 : 1;
	return a->order < b->order ? 1 : -1;
}

static int
compare_for_heap(Datum a, Datum b, void *arg)
{
	return -compare_frequency((const FacetValue *) DatumGetPointer(a), (const FacetValue *) DatumGetPointer(b));
}

static int
compare_for_output(const void *a, const void *b)
{
	return -compare_frequency(*(FacetValue *const *) a, *(FacetValue *const *) b);
}

/* Keep a value if it is among the most frequent so far. */
static void
offer(Facet *facet, Datum value, bool isnull, uint64 count)
{
	bool		full = facet->frequent->bh_size == facet->frequent->bh_space;
	FacetValue	candidate = {.isnull = isnull,.count = count,.order = facet->n_seen++};
	FacetValue *kept;

	if (full)
	{
		FacetValue *rarest = (FacetValue *) DatumGetPointer(binaryheap_first(facet->frequent));

		if (compare_frequency(&candidate, rarest) < 0)
			return;
		if (!rarest->isnull && !facet->attribute->typbyval)
			pfree(DatumGetPointer(rarest->value));
		kept = rarest;
	}
	else
		kept = palloc(sizeof(FacetValue));
	if (!isnull)
		candidate.value = datumCopy(value, facet->attribute->typbyval, facet->attribute->typlen);
	*kept = candidate;
	if (full)
		binaryheap_replace_first(facet->frequent, PointerGetDatum(kept));
	else
		binaryheap_add(facet->frequent, PointerGetDatum(kept));
}

/* The source with the least value; NULL if all are finished. */
static FacetSource *
least_source(Facet *facet)
{
	FacetSource *least = NULL;

	for (int i = 0; i < facet->n_sources; i++)
		if (!facet->sources[i].finished &&
			(least == NULL || compare_values(facet, facet->sources[i].value, least->value) < 0))
			least = &facet->sources[i];
	return least;
}

static void
merge_sources(Facet *facet)
{
	FacetSource *least;

	while ((least = least_source(facet)) != NULL)
	{
		uint64		count = 0;

		for (int i = 0; i < facet->n_sources; i++)
			if (!facet->sources[i].finished &&
				compare_values(facet, facet->sources[i].value, least->value) == 0)
				count += facet->sources[i].count;
		offer(facet, least->value, false, count);

		/* `least` is one of them, so its value is needed until the last of the others has moved on */
		for (int i = 0; i < facet->n_sources; i++)
			if (&facet->sources[i] != least && !facet->sources[i].finished &&
				compare_values(facet, facet->sources[i].value, least->value) == 0)
				advance(facet, &facet->sources[i]);
		advance(facet, least);
	}
	if (facet->n_nulls > 0)
		offer(facet, (Datum) 0, true, facet->n_nulls);
}

/* ---- the result ---- */

static void
put_values(Facet *facet, ReturnSetInfo *result)
{
	int			n = facet->frequent->bh_size;
	FacetValue **sorted = palloc(Max(n, 1) * sizeof(FacetValue *));
	Oid			output_function;
	bool		is_varlena;

	getTypeOutputInfo(facet->attribute->type, &output_function, &is_varlena);
	for (int i = 0; i < n; i++)
		sorted[i] = (FacetValue *) DatumGetPointer(binaryheap_remove_first(facet->frequent));
	qsort(sorted, n, sizeof(FacetValue *), compare_for_output);
	for (int i = 0; i < n; i++)
	{
		Datum		values[2] = {0};
		bool		nulls[2] = {sorted[i]->isnull, false};

		if (!nulls[0])
			values[0] = CStringGetTextDatum(OidOutputFunctionCall(output_function, sorted[i]->value));
		values[1] = Int64GetDatum(sorted[i]->count);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* omenvec_facet(index regclass, attribute text, max_values integer) RETURNS SETOF (value text, count bigint) */
Datum
omen_inspect_facet(PG_FUNCTION_ARGS)
{
	int			max_values = PG_GETARG_INT32(2);
	Facet	   *facet = palloc0(sizeof(Facet));

	if (max_values < 1 || max_values > MAX_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_values must be between 1 and %d, not %d", MAX_VALUES, max_values)));
	InitMaterializedSRF(fcinfo, 0);
	omen_index_open(&facet->opened, PG_GETARG_OID(0), AccessShareLock, AccessShareLock);
	facet->attributes = omen_attributes_of(facet->opened.index);
	find_attribute(facet, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	check_permission(facet);

	facet->meta = palloc(sizeof(OmenMeta));
	omen_meta_read(facet->opened.index, facet->meta);
	facet->frequent = binaryheap_allocate(max_values, compare_for_heap, NULL);
	open_sources(facet);
	merge_sources(facet);
	close_sources(facet);
	put_values(facet, (ReturnSetInfo *) fcinfo->resultinfo);
	omen_index_close(&facet->opened);
	return (Datum) 0;
}
