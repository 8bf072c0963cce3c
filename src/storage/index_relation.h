/*-------------------------------------------------------------------------
 *
 * index_relation.h
 *	  Opening an index that a user, or a request to a worker, has named.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_INDEX_RELATION_H
#define OMEN_INDEX_RELATION_H

#include "storage/lockdefs.h"
#include "utils/rel.h"

/* An omenhnsw index with its table, both locked. */
typedef struct OmenIndexRelation
{
	Relation	table;
	Relation	index;
	LOCKMODE	table_lock;
	LOCKMODE	index_lock;

	/* who has opened it, if he acts as the owner now */
	bool		as_owner;
	Oid			user;
	int			security;
	int			guc_level;
} OmenIndexRelation;

extern Relation omen_index_try_open(Oid index_oid, LOCKMODE lock);
extern void omen_index_open(OmenIndexRelation *opened, Oid index_oid,
							LOCKMODE table_lock, LOCKMODE index_lock);
extern void omen_index_act_as_owner(OmenIndexRelation *opened);
extern void omen_index_close(OmenIndexRelation *opened);
extern void omen_index_check_permission(Oid index_oid, Oid other_role);
extern bool omen_index_column_is_readable(Relation index, AttrNumber attno);
extern bool omen_index_is_readable(Relation index);

#endif							/* OMEN_INDEX_RELATION_H */
