/*-------------------------------------------------------------------------
 *
 * graph_select.h
 *	  Choice of a node's neighbours among candidates; private to the graph folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_SELECT_H
#define OMEN_GRAPH_SELECT_H

#include "src/graph/graph_build.h"

/*
 * Candidates are packed words (graph_candidate.h).  Their flag means "clean":
 * two clean candidates are known not to exclude each other, because an
 * earlier selection for the same node kept both.
 */
typedef struct OmenSelector OmenSelector;

/* For up to max_candidates at a time. */
extern OmenSelector *omen_selector_create(const OmenHost *host, const OmenRecords *records,
										  uint32 max_candidates);
extern void omen_selector_destroy(OmenSelector *selector);

/*
 * Keep of n sorted candidates those that the heuristic wants, at most
 * max_kept, and fill up with the nearest of the others to fill_to.  Writes
 * them to chosen, first those kept, then those filled in, each part nearest
 * first, and returns how many; *n_kept says how many are of the first part.
 */
extern int	omen_select_neighbours(OmenSelector *selector, const uint64 *candidates, int n,
								   int max_kept, int fill_to, uint64 *chosen, int *n_kept);

#endif							/* OMEN_GRAPH_SELECT_H */
