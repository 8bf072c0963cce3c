/*-------------------------------------------------------------------------
 *
 * am_validate.c
 *	  Is an operator class fit for omenhnsw?  (contrib/amcheck's kind of
 *	  question, asked by amvalidate() and the regression tests.)
 *
 * A family is one of vectors, with a support function that tells metric and
 * type, a distance and a test for a sphere; or one of attributes, with
 * functions that compare, as btree's, and tests by which rows are chosen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/filter/attribute.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

typedef struct FamilyCheck
{
	Oid			oid;
	char	   *name;
	bool		is_vectors;		/* it has support functions of vectors */
	CatCList   *functions;
	CatCList   *operators;
	bool		valid;
} FamilyCheck;

static Form_pg_amproc
function_form(const FamilyCheck *family, int i)
{
	return (Form_pg_amproc) GETSTRUCT(&family->functions->members[i]->tuple);
}

static Form_pg_amop
operator_form(const FamilyCheck *family, int i)
{
	return (Form_pg_amop) GETSTRUCT(&family->operators->members[i]->tuple);
}

/* ---- what members must be ---- */

static bool
is_description(Form_pg_amproc form)
{
	return form->amprocnum == OMEN_SUPPORT_PROC &&
		check_amproc_signature(form->amproc, INTERNALOID, true, 1, 1, INTERNALOID);
}

static bool
is_comparison(Form_pg_amproc form)
{
	return form->amprocnum == OMEN_COMPARE_PROC &&
		check_amproc_signature(form->amproc, INT4OID, true, 2, 2,
							   form->amproclefttype, form->amprocrighttype);
}

static bool
is_distance(Form_pg_amop form)
{
	return form->amopstrategy == OMEN_ORDER_STRATEGY &&
		form->amoppurpose == AMOP_ORDER &&
		check_amop_signature(form->amopopr, FLOAT8OID, form->amoplefttype, form->amoprighttype);
}

static bool
is_sphere_test(Form_pg_amop form)
{
	return form->amopstrategy == OMEN_SPHERE_STRATEGY &&
		form->amoppurpose == AMOP_SEARCH &&
		type_is_rowtype(form->amoprighttype) &&
		check_amop_signature(form->amopopr, BOOLOID, form->amoplefttype, form->amoprighttype);
}

static bool
is_attribute_test(Form_pg_amop form)
{
	return form->amopstrategy >= OMEN_STRATEGY_LESS && form->amopstrategy <= OMEN_N_STRATEGIES &&
		form->amoppurpose == AMOP_SEARCH &&
		check_amop_signature(form->amopopr, BOOLOID, form->amoplefttype, form->amoprighttype);
}

/* ---- families ---- */

static void
complain(FamilyCheck *family, const char *kind, int number)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family \"%s\" of access method omenhnsw contains an unfit %s with number %d",
					family->name, kind, number)));
	family->valid = false;
}

/* Complain unless there is a support function for two types. */
static void
require_function(FamilyCheck *family, Oid left, Oid right, int number)
{
	if (OidIsValid(get_opfamily_proc(family->oid, left, right, number)))
		return;
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family \"%s\" of access method omenhnsw contains no function with number %d for types %s and %s",
					family->name, number, format_type_be(left), format_type_be(right))));
	family->valid = false;
}

static void
validate_functions(FamilyCheck *family)
{
	for (int i = 0; i < family->functions->n_members; i++)
	{
		Form_pg_amproc form = function_form(family, i);

		if (family->is_vectors ? !is_description(form) : !is_comparison(form))
			complain(family, "function", form->amprocnum);
	}
}

static void
validate_operators(FamilyCheck *family)
{
	for (int i = 0; i < family->operators->n_members; i++)
	{
		Form_pg_amop form = operator_form(family, i);

		if (family->is_vectors ? !is_distance(form) && !is_sphere_test(form) : !is_attribute_test(form))
			complain(family, "operator", form->amopstrategy);
		else if (!family->is_vectors && form->amopstrategy <= OMEN_STRATEGY_GREATER)
			require_function(family, form->amoplefttype, form->amoprighttype, OMEN_COMPARE_PROC);
	}
}

static bool
has_descriptions(const FamilyCheck *family)
{
	for (int i = 0; i < family->functions->n_members; i++)
		if (function_form(family, i)->amprocnum == OMEN_SUPPORT_PROC)
			return true;
	return false;
}

static void
open_family(FamilyCheck *family, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(oid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", oid);
	family->oid = oid;
	family->name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(tuple))->opfname));
	ReleaseSysCache(tuple);
	family->functions = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(oid));
	family->operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(oid));
	family->is_vectors = has_descriptions(family);
	family->valid = true;
}

bool
omen_am_validate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	FamilyCheck family;
	Oid			type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	type = ((Form_pg_opclass) GETSTRUCT(tuple))->opcintype;
	open_family(&family, ((Form_pg_opclass) GETSTRUCT(tuple))->opcfamily);
	ReleaseSysCache(tuple);

	validate_functions(&family);
	validate_operators(&family);
	require_function(&family, type, type, family.is_vectors ? OMEN_SUPPORT_PROC : OMEN_COMPARE_PROC);
	ReleaseCatCacheList(family.functions);
	ReleaseCatCacheList(family.operators);
	return family.valid;
}
