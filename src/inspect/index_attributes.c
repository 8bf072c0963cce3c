/*-------------------------------------------------------------------------
 *
 * index_attributes.c
 *	  omenvec_attributes(): the attributes of an index, segment by segment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_reader.h"
#include "src/storage/index_relation.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(omen_inspect_attributes);

/* Result columns, as in the SQL declaration. */
enum
{
	ATTRIBUTES_COLUMN,
	ATTRIBUTES_NAME,
	ATTRIBUTES_TYPE,
	ATTRIBUTES_SEGMENT_ID,
	ATTRIBUTES_DISTINCT_VALUES,
	ATTRIBUTES_NULLS,
	ATTRIBUTES_BYTES,
	ATTRIBUTES_GROUPED,
	N_ATTRIBUTES_COLUMNS
};

/* An attribute's part of the range reaches from its values to those of the next, or to the end. */
static uint64
bytes_of(const OmenAttributeReader *reader, int attribute)
{
	uint64		end = attribute + 1 < reader->attributes->n ?
		reader->stored[attribute + 1].values : reader->n_bytes;

	return end - reader->stored[attribute].values;
}

static uint32
count_nulls(OmenAttributeReader *reader, int attribute)
{
	uint32		null_rank = omen_attribute_n_values(reader, attribute);

	return omen_attribute_n_postings(reader, attribute, null_rank, null_rank, NULL);
}

static void
describe_segment(ReturnSetInfo *result, Relation index, const OmenMeta *meta, const OmenSegment *segment,
				 const OmenAttributes *attributes)
{
	OmenAttributeReader reader;

	omen_attribute_reader_open(&reader, index, meta, segment, NULL, attributes);
	for (int i = 0; i < attributes->n; i++)
	{
		const OmenAttribute *attribute = &attributes->attributes[i];
		Datum		values[N_ATTRIBUTES_COLUMNS];
		bool		nulls[N_ATTRIBUTES_COLUMNS] = {0};

		values[ATTRIBUTES_COLUMN] = Int32GetDatum(attribute->attno);
		values[ATTRIBUTES_NAME] =
			CStringGetTextDatum(NameStr(TupleDescAttr(attributes->tuple_desc, i)->attname));
		values[ATTRIBUTES_TYPE] = ObjectIdGetDatum(attribute->type);
		values[ATTRIBUTES_SEGMENT_ID] = Int64GetDatum(segment->id);
		values[ATTRIBUTES_DISTINCT_VALUES] = Int64GetDatum(omen_attribute_n_values(&reader, i));
		values[ATTRIBUTES_NULLS] = Int64GetDatum(count_nulls(&reader, i));
		values[ATTRIBUTES_BYTES] = Int64GetDatum(bytes_of(&reader, i));
		values[ATTRIBUTES_GROUPED] = BoolGetDatum(meta->group_attribute == i + 1);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	omen_attribute_reader_release(&reader);
}

/* omenvec_attributes(index regclass) RETURNS SETOF record, see the SQL declaration */
Datum
omen_inspect_attributes(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	OmenIndexRelation opened;
	OmenAttributes *attributes;

	omen_index_check_permission(index_oid, ROLE_PG_STAT_SCAN_TABLES);
	InitMaterializedSRF(fcinfo, 0);
	omen_index_open(&opened, index_oid, AccessShareLock, AccessShareLock);
	omen_meta_read(opened.index, meta);
	attributes = omen_attributes_of(opened.index);
	for (uint32 i = 0; i < meta->n_segments && attributes; i++)
		if (meta->segments[i].kind == OMEN_SEGMENT_GRAPH && meta->segments[i].state == OMEN_STATE_LIVE)
			describe_segment((ReturnSetInfo *) fcinfo->resultinfo, opened.index, meta,
							 &meta->segments[i], attributes);
	omen_index_close(&opened);
	return (Datum) 0;
}
