/*-------------------------------------------------------------------------
 *
 * am_validate.c
 *	  Is an operator class fit for omenhnsw?  (contrib/amcheck's kind of
 *	  question, asked by amvalidate() and the regression tests.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Complain about one member of an operator family. */
static void
complain(const char *family, const char *kind, int number)
{
	ereport(INFO,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("operator family \"%s\" of access method omenhnsw contains an unfit %s with number %d",
					family, kind, number)));
}

static bool
validate_functions(const char *family, Oid family_oid)
{
	CatCList   *list = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(family_oid));
	bool		valid = true;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amproc form = (Form_pg_amproc) GETSTRUCT(&list->members[i]->tuple);

		if (form->amprocnum != OMEN_SUPPORT_PROC ||
			!check_amproc_signature(form->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
		{
			complain(family, "function", form->amprocnum);
			valid = false;
		}
	}
	ReleaseCatCacheList(list);
	return valid;
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
validate_operators(const char *family, Oid family_oid)
{
	CatCList   *list = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family_oid));
	bool		valid = true;

	for (int i = 0; i < list->n_members; i++)
	{
		Form_pg_amop form = (Form_pg_amop) GETSTRUCT(&list->members[i]->tuple);

		if (!is_distance(form) && !is_sphere_test(form))
		{
			complain(family, "operator", form->amopstrategy);
			valid = false;
		}
	}
	ReleaseCatCacheList(list);
	return valid;
}

static char *
family_name(Oid family_oid)
{
	HeapTuple	tuple = SearchSysCache1(OPFAMILYOID, ObjectIdGetDatum(family_oid));
	char	   *name;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator family %u", family_oid);
	name = pstrdup(NameStr(((Form_pg_opfamily) GETSTRUCT(tuple))->opfname));
	ReleaseSysCache(tuple);
	return name;
}

bool
omen_am_validate(Oid opclassoid)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclassoid));
	Form_pg_opclass form;
	char	   *family;
	Oid			family_oid;
	bool		valid;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclassoid);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	family_oid = form->opcfamily;
	family = family_name(family_oid);
	ReleaseSysCache(tuple);

	valid = validate_functions(family, family_oid);
	return validate_operators(family, family_oid) && valid;
}
