/*-------------------------------------------------------------------------
 *
 * graph_search_internal.h
 *	  One expansion in three steps, for those who run several searches at once.
 *
 * Each step ends with prefetches of what the next one reads.  Taking turns
 * (step one of all searches, step two of all, ...) hides the memory's latency
 * behind the work of the other searches; the build does that.
 * omen_search_run() is the same three steps of one search.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_SEARCH_INTERNAL_H
#define OMEN_GRAPH_SEARCH_INTERNAL_H

#include "src/graph/graph_search.h"

/* Choose the node to expand and ask for its links; false: exhausted. */
extern bool omen_search_pick(OmenSearch *search);

/* Read its links, drop those seen before, ask for the codes of the rest. */
extern void omen_search_fetch(OmenSearch *search);

/* Compute their keys and put them into the beam. */
extern void omen_search_evaluate(OmenSearch *search);

/*
 * The beam's content as packed words (graph_candidate.h), nearest first; the
 * flags say which were expanded.  Valid until the next call.
 */
extern int	omen_search_packed_results(OmenSearch *search, const uint64 **packed);

#endif							/* OMEN_GRAPH_SEARCH_INTERNAL_H */
