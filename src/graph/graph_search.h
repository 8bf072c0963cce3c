/*-------------------------------------------------------------------------
 *
 * graph_search.h
 *	  Best-first beam search over a graph of nodes that the caller provides.
 *
 * One search serves the build (nodes in arrays) and the scan (nodes in
 * pages): what differs is the node source.  A search is resumable: results
 * that the caller has taken leave the beam, what had fallen out of it comes
 * back, and the search goes on with a wider beam, until every node reachable
 * has been returned once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_SEARCH_H
#define OMEN_GRAPH_SEARCH_H

#include "src/graph/graph_memory.h"
#include "src/quant/quant.h"

#define OMEN_NO_NODE 0xffffffffU
#define OMEN_MAX_NODES 0x7fffffffU	/* node numbers are below this */
#define OMEN_MAX_LINKS 200			/* 2 * largest m */

/*
 * Where nodes live.  links() copies the neighbours of a node (at most
 * OMEN_MAX_LINKS) and returns how many; keys() computes the distances of the
 * source's query to n nodes (n <= OMEN_MAX_LINKS).  The prefetches are hints
 * and may do nothing.  Sources of pages may throw (ereport).
 *
 * select(), if it is not NULL, says which nodes are wanted: it moves those to
 * the front of an array, the others behind them, and returns how many are.
 */
typedef struct OmenNodeSource
{
	void		(*prefetch_links) (struct OmenNodeSource *source, uint32 node);
	int			(*links) (struct OmenNodeSource *source, uint32 node, uint32 *out);
	void		(*prefetch_codes) (struct OmenNodeSource *source, const uint32 *nodes, int n);
	void		(*keys) (struct OmenNodeSource *source, const uint32 *nodes, int n, float *out);
	int			(*select) (struct OmenNodeSource *source, uint32 *nodes, int n);
	int			enough;			/* wanted neighbours, after which an expansion looks no further */
} OmenNodeSource;

typedef struct OmenCandidate
{
	float		key;
	uint32		node;
} OmenCandidate;

typedef struct OmenSearch OmenSearch;

/* Memory comes from host and grows with use; a search can be begun again and again. */
extern OmenSearch *omen_search_create(const OmenHost *host);
extern void omen_search_destroy(OmenSearch *search);

/*
 * Start: a beam of ef, and a bound (INFINITY for none): once the nearest
 * omen_search_patience(ef) entries of the beam are expanded, candidates with a
 * key above the bound are not expanded any more.  keep_discards says that
 * omen_search_resume() will be wanted.
 */
extern void omen_search_begin(OmenSearch *search, OmenNodeSource *source, uint32 ef,
							  float bound, bool keep_discards);

/*
 * How many of the nearest entries are expanded whatever the bound: a bound
 * from elsewhere must not end a search that has only just begun to descend.
 */
static inline uint32
omen_search_patience(uint32 ef)
{
	return Max(12, ef / 4);
}

/* Put nodes with known keys into the beam as starting points; all of them must be wanted. */
extern void omen_search_seed(OmenSearch *search, const OmenCandidate *seeds, int n);

/*
 * For a source that selects: let nodes (n <= OMEN_MAX_LINKS) be met as if they
 * were links of one on the way.  Changes their order.
 */
extern void omen_search_meet(OmenSearch *search, uint32 *nodes, int n);

/* Expand up to max_expansions nodes; true when the beam is exhausted. */
extern bool omen_search_run(OmenSearch *search, int max_expansions);

/*
 * The beam's content, nearest first (ties by node number); returns the
 * count.  Valid until the next call.
 */
extern int	omen_search_results(OmenSearch *search, const OmenCandidate **results);

/*
 * Take the results out of the beam and prepare to go on with a beam of ef
 * among the discards.  Nodes returned once are not returned again.  False if
 * there is nothing to go on with.
 */
extern bool omen_search_resume(OmenSearch *search, uint32 ef, float bound);

/*
 * Go on with a beam of ef, wider than before, as if it had been that wide from
 * the start: what had found no place comes back.  Needs keep_discards.
 */
extern void omen_search_widen(OmenSearch *search, uint32 ef);

/* How many results there are by now. */
extern uint32 omen_search_n_results(const OmenSearch *search);

/* Counters since begin, for statistics and costs. */
extern uint64 omen_search_n_keys(const OmenSearch *search);
extern uint64 omen_search_n_expanded(const OmenSearch *search);

#endif							/* OMEN_GRAPH_SEARCH_H */
