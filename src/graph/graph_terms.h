/*-------------------------------------------------------------------------
 *
 * graph_terms.h
 *	  Starting points by terms: which nodes have what the query has.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_TERMS_H
#define OMEN_GRAPH_TERMS_H

#include "src/graph/graph_build.h"

/* Of a query, as many terms are looked up, which makes so many starting points. */
#define OMEN_QUERY_TERMS 32
#define OMEN_TERM_SEEDS (OMEN_QUERY_TERMS * OMEN_TERM_NODES)

/*
 * Make the table for records that will be renumbered: order[new number] = old
 * number.  It stays empty if the codec has no terms.  Collective; the table is
 * shared memory.
 */
extern void omen_terms_build(const OmenTeam *team, const OmenRecords *records,
							 const uint32 *order, OmenTermTable *table);

/*
 * Which records of the table a query's heaviest terms are in: numbers below
 * n_records, ascending, without repetition.  Returns how many.
 */
extern int	omen_terms_lookup(const OmenCodec *codec, const OmenQuery *query,
							  uint32 n_records, uint32 records[OMEN_QUERY_TERMS]);

/* Sort node numbers and drop repetitions and OMEN_NO_NODE; returns how many are left. */
extern int	omen_terms_distinct(uint32 *nodes, int n);

/*
 * For a table in memory: the nodes of a query's heaviest terms, ascending,
 * without repetition.  All of them are good starting points, so a search takes
 * them in addition to those of the routing table.  Returns how many.
 */
extern int	omen_terms_nodes(const OmenCodec *codec, const OmenQuery *query,
							 const OmenTermTable *table, uint32 nodes[OMEN_TERM_SEEDS]);

#endif							/* OMEN_GRAPH_TERMS_H */
