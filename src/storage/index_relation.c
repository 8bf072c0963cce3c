/*-------------------------------------------------------------------------
 *
 * index_relation.c
 *	  Opening an index that a user, or a request to a worker, has named.
 *
 * A regclass can be anything: another kind of relation, an index of another
 * access method, one that CREATE INDEX CONCURRENTLY has left half made, a
 * temporary one of another session.  Here each gets its own error, so that
 * the functions behind can rely on what they get.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/index_relation.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#define ACCESS_METHOD_NAME "omenhnsw"

static bool
is_ours(Relation relation)
{
	return relation->rd_rel->relkind == RELKIND_INDEX &&
		relation->rd_rel->relam == get_index_am_oid(ACCESS_METHOD_NAME, true);
}

/*
 * For workers: open an index if it is still there, is one of ours, and nobody
 * is about to change it; else NULL.  The lock stays to the transaction's end.
 */
Relation
omen_index_try_open(Oid index_oid, LOCKMODE lock)
{
	Relation	relation;

	if (!ConditionalLockRelationOid(index_oid, lock))
		return NULL;
	relation = try_relation_open(index_oid, NoLock);
	if (relation != NULL && !is_ours(relation))
	{
		relation_close(relation, NoLock);
		return NULL;
	}
	return relation;
}

/* Raise an error that says why a relation is not an index of ours. */
static void
check_kind(Relation relation)
{
	const char *name = RelationGetRelationName(relation);

	if (relation->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partitioned index", name),
				 errdetail("It has no contents of its own."),
				 errhint("Name the index of one of the partitions.")));
	if (relation->rd_rel->relkind != RELKIND_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", name)));
	if (!is_ours(relation))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an %s index", name, ACCESS_METHOD_NAME)));
}

/* Can its pages be read here and now? */
static void
check_readable(Relation index)
{
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary indexes of other sessions")));
	if (RecoveryInProgress() && index->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot access temporary or unlogged relations during recovery")));
	if (!index->rd_index->indisvalid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", RelationGetRelationName(index)),
				 errhint("An interrupted CREATE INDEX CONCURRENTLY leaves such an index; drop it or REINDEX it.")));
}

/*
 * Open an index and its table, or raise an error that says why not.  The
 * table is locked first, as everybody does who locks both.
 */
void
omen_index_open(OmenIndexRelation *opened, Oid index_oid, LOCKMODE table_lock, LOCKMODE index_lock)
{
	Oid			table_oid = IndexGetRelation(index_oid, true);

	opened->table_lock = table_lock;
	opened->index_lock = index_lock;
	opened->as_owner = false;
	opened->table = OidIsValid(table_oid) ? table_open(table_oid, table_lock) : NULL;
	opened->index = relation_open(index_oid, index_lock);
	check_kind(opened->index);

	/* The table's lock came without one on the index: look once more. */
	if (opened->table == NULL || table_oid != IndexGetRelation(index_oid, false))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open the table of index \"%s\"",
						RelationGetRelationName(opened->index))));
	check_readable(opened->index);
}

/*
 * Until it is closed: functions of operator classes, which may be anybody's,
 * run with the rights of the index's owner, as when the index is made.
 */
void
omen_index_act_as_owner(OmenIndexRelation *opened)
{
	opened->as_owner = true;
	GetUserIdAndSecContext(&opened->user, &opened->security);
	SetUserIdAndSecContext(opened->index->rd_rel->relowner, opened->security | SECURITY_RESTRICTED_OPERATION);
	opened->guc_level = NewGUCNestLevel();
}

/* Close both and release their locks. */
void
omen_index_close(OmenIndexRelation *opened)
{
	if (opened->as_owner)
	{
		AtEOXact_GUC(false, opened->guc_level);
		SetUserIdAndSecContext(opened->user, opened->security);
	}
	relation_close(opened->index, opened->index_lock);
	table_close(opened->table, opened->table_lock);
}

/*
 * Raise an error unless the current user owns the index, or has the
 * privileges of other_role (InvalidOid for none).  To be called before any
 * lock is taken.
 */
void
omen_index_check_permission(Oid index_oid, Oid other_role)
{
	bool		owned;

#if PG_VERSION_NUM >= 160000
	owned = object_ownercheck(RelationRelationId, index_oid, GetUserId());
#else
	owned = pg_class_ownercheck(index_oid, GetUserId());
#endif
	if (owned || (OidIsValid(other_role) && has_privs_of_role(GetUserId(), other_role)))
		return;
	aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(index_oid));
}

/*
 * May the current user read a key column as a column of the table?  The values
 * of expressions, and which rows fulfil a predicate, depend on several.
 */
bool
omen_index_column_is_readable(Relation index, AttrNumber attno)
{
	Oid			table_oid = index->rd_index->indrelid;
	AttrNumber	column = index->rd_index->indkey.values[attno - 1];

	if (pg_class_aclcheck(table_oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return true;
	return column != 0 && RelationGetIndexPredicate(index) == NIL &&
		pg_attribute_aclcheck(table_oid, column, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/* May the current user read all key columns, of all rows? */
bool
omen_index_is_readable(Relation index)
{
	for (AttrNumber attno = 1; attno <= IndexRelationGetNumberOfKeyAttributes(index); attno++)
		if (!omen_index_column_is_readable(index, attno))
			return false;
	return check_enable_rls(index->rd_index->indrelid, InvalidOid, true) != RLS_ENABLED;
}
