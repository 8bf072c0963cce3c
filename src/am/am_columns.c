/*-------------------------------------------------------------------------
 *
 * am_columns.c
 *	  Which columns an index may have: a vector first, then attributes.
 *
 * PostgreSQL asks only whether a column's type and its operator class fit each
 * other.  Which kind of class it is, tells the support function that it has:
 * one of vectors says what a code is, one of attributes compares two values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/filter/attribute.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

static const char *
column_name(Relation index, AttrNumber attno)
{
	return NameStr(TupleDescAttr(RelationGetDescr(index), attno - 1)->attname);
}

static bool
has_function(Relation index, AttrNumber attno, uint16 number)
{
	return OidIsValid(index_getprocid(index, attno, number));
}

static void
refuse_first_column(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("first column \"%s\" of omenhnsw index \"%s\" is not a vector",
					column_name(index, 1), RelationGetRelationName(index)),
			 errdetail("Its operator class is one of attributes, by which a search for vectors is filtered."),
			 errhint("Put the vector first, with an operator class such as vector_l2_ops, and the attributes after it.")));
}

static void
refuse_further_column(Relation index, AttrNumber attno)
{
	if (has_function(index, attno, OMEN_SUPPORT_PROC))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("omenhnsw index \"%s\" cannot have a second vector, \"%s\"",
						RelationGetRelationName(index), column_name(index, attno)),
				 errdetail("Only the first column is a vector; the others are attributes, by which its search is filtered."),
				 errhint("Create an index for each vector.")));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator class of column \"%s\" of omenhnsw index \"%s\" has no support function %d",
					column_name(index, attno), RelationGetRelationName(index), OMEN_COMPARE_PROC),
			 errdetail("It would compare two values of an attribute."),
			 errhint("Use another operator class, or add the function to this one.")));
}

/* An array has the operator class of all arrays, but an order only if its elements have one. */
static void
check_elements(Relation index, AttrNumber attno)
{
	Oid			type = TupleDescAttr(RelationGetDescr(index), attno - 1)->atttypid;

	if (index->rd_opcintype[attno - 1] != ANYARRAYOID ||
		OidIsValid(lookup_type_cache(type, TYPECACHE_CMP_PROC)->cmp_proc))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("column \"%s\" of omenhnsw index \"%s\" has values without an order",
					column_name(index, attno), RelationGetRelationName(index)),
			 errdetail("There is no function that compares elements of type %s.",
					   format_type_be(get_element_type(type))),
			 errhint("Index an expression of another type.")));
}

/* Raise an error unless the columns are a vector and attributes. */
void
omen_am_check_columns(Relation index)
{
	int			n_columns = IndexRelationGetNumberOfKeyAttributes(index);

	if (!has_function(index, 1, OMEN_SUPPORT_PROC))
		refuse_first_column(index);
	for (AttrNumber attno = 2; attno <= n_columns; attno++)
	{
		if (!has_function(index, attno, OMEN_COMPARE_PROC))
			refuse_further_column(index, attno);
		check_elements(index, attno);
	}
}
