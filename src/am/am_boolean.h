/*-------------------------------------------------------------------------
 *
 * am_boolean.h
 *	  Conditions on boolean attributes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_BOOLEAN_H
#define OMEN_AM_BOOLEAN_H

#include "nodes/pathnodes.h"

/* Index conditions (IndexClause) that restriction clauses on boolean attributes allow a path. */
extern List *omen_boolean_conditions(PlannerInfo *root, const IndexPath *path);

#endif							/* OMEN_AM_BOOLEAN_H */
