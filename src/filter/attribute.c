/*-------------------------------------------------------------------------
 *
 * attribute.c
 *	  Attributes: the key columns of an index after the vector.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute.h"

#include "access/genam.h"
#include "port/pg_crc32c.h"

OmenAttributes *
omen_attributes_of(Relation index)
{
	int			n = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	OmenAttributes *result;

	if (n == 0)
		return NULL;
	result = palloc0(sizeof(OmenAttributes));
	result->n = n;
	result->tuple_desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
	{
		OmenAttribute *attribute = &result->attributes[i];
		AttrNumber	attno = i + 2;
		Form_pg_attribute form = TupleDescAttr(RelationGetDescr(index), attno - 1);

		TupleDescCopyEntry(result->tuple_desc, i + 1, RelationGetDescr(index), attno);
		attribute->attno = attno;
		attribute->type = form->atttypid;
		attribute->collation = index->rd_indcollation[attno - 1];
		attribute->typlen = form->attlen;
		attribute->typbyval = form->attbyval;
		attribute->typalign = form->attalign;
		fmgr_info_copy(&attribute->compare, index_getprocinfo(index, attno, OMEN_COMPARE_PROC),
					   CurrentMemoryContext);
	}
	return result;
}

/* ---- bytes of a row ---- */

/* Of all that follows the tuple's TID, which an index tuple in a tail has no use for. */
static pg_crc32c
checksum_of(const IndexTupleData *tuple)
{
	pg_crc32c	checksum;

	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, &tuple->t_info, IndexTupleSize(tuple) - offsetof(IndexTupleData, t_info));
	FIN_CRC32C(checksum);
	return checksum;
}

IndexTuple
omen_attributes_pack(const OmenAttributes *attributes, const Datum *values, const bool *isnull)
{
	IndexTuple	tuple = index_form_tuple(attributes->tuple_desc, (Datum *) values, (bool *) isnull);

	ItemPointerSet(&tuple->t_tid, checksum_of(tuple), 0);
	return tuple;
}

bool
omen_attributes_unpack(const OmenAttributes *attributes, const char *packed, uint32 n_bytes,
					   Datum *values, bool *isnull)
{
	IndexTuple	tuple;

	if (n_bytes < sizeof(IndexTupleData))
		return false;
	tuple = palloc(n_bytes);
	memcpy(tuple, packed, n_bytes);
	if (IndexTupleSize(tuple) != n_bytes ||
		ItemPointerGetBlockNumberNoCheck(&tuple->t_tid) != checksum_of(tuple))
		return false;
	index_deform_tuple(tuple, attributes->tuple_desc, values, isnull);
	return true;
}
