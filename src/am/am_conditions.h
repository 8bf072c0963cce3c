/*-------------------------------------------------------------------------
 *
 * am_conditions.h
 *	  Conditions on attributes that the planner does not find by itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_CONDITIONS_H
#define OMEN_AM_CONDITIONS_H

#include "nodes/pathnodes.h"

/*
 * Index conditions (IndexClause) that restriction clauses allow a path in the
 * order of a distance, besides those that it has.
 */
extern List *omen_missed_conditions(PlannerInfo *root, const IndexPath *path);

#endif							/* OMEN_AM_CONDITIONS_H */
