/*-------------------------------------------------------------------------
 *
 * graph_select.c
 *	  Choice of a node's neighbours among candidates.
 *
 * The heuristic of HNSW (Malkov and Yashunin 2018, algorithm 4): going through
 * the candidates from the nearest on, keep one unless it is nearer to one
 * already kept than (by a margin) to the node itself.  So links point into all directions
 * instead of all into the same crowd.
 *
 * Where the paper compares each candidate with all that are kept, here each
 * one that is kept is compared with all candidates still in play, in one call
 * of the codec: the same pairs, but one query and many codes.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_select.h"

#include <math.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"

/*
 * A candidate is excluded only if it is nearer to one kept by this part of
 * its key.  Lists become a little longer, and recall at equal cost better.
 */
#define SELECT_MARGIN 0.1f

struct OmenSelector
{
	const OmenHost *host;
	const OmenRecords *records;
	OmenQuery  *query;
	uint32		max_candidates;
	uint64		n_keys;

	/* candidates still in play, nearest first */
	uint64	   *open;
	int			n_open;

	/* those of them that the one kept last is compared with */
	int		   *compared;		/* positions in open */
	const void **factors;
	const uint8 **codes;
	float	   *keys;

	/* excluded by one kept */
	uint64	   *excluded;
	int			n_excluded;
};

OmenSelector *
omen_selector_create(const OmenHost *host, const OmenRecords *records, uint32 max_candidates)
{
	OmenSelector *s = host->alloc(host->arg, sizeof(OmenSelector));

	memset(s, 0, sizeof(*s));
	s->host = host;
	s->records = records;
	s->max_candidates = max_candidates;
	s->query = host->alloc(host->arg, records->codec->query_bytes);
	s->open = host->alloc(host->arg, sizeof(uint64) * max_candidates);
	s->compared = host->alloc(host->arg, sizeof(int) * max_candidates);
	s->factors = host->alloc(host->arg, sizeof(void *) * max_candidates);
	s->codes = host->alloc(host->arg, sizeof(void *) * max_candidates);
	s->keys = host->alloc(host->arg, sizeof(float) * max_candidates);
	s->excluded = host->alloc(host->arg, sizeof(uint64) * max_candidates);
	return s;
}

void
omen_selector_destroy(OmenSelector *s)
{
	const OmenHost *host = s->host;

	host->release(host->arg, s->query);
	host->release(host->arg, s->open);
	host->release(host->arg, s->compared);
	host->release(host->arg, s->factors);
	host->release(host->arg, s->codes);
	host->release(host->arg, s->keys);
	host->release(host->arg, s->excluded);
	host->release(host->arg, s);
}

/*
 * Keys between the one kept last and the open candidates, except where both
 * are clean.  Returns how many; s->compared says of which.
 */
static int
select_compare(OmenSelector *s, uint64 kept)
{
	const OmenCodec *codec = s->records->codec;
	uint32		node = omen_packed_node(kept);
	int			n = 0;
	int			i;

	for (i = 0; i < s->n_open; i++)
	{
		uint32		other = omen_packed_node(s->open[i]);

		s->compared[n] = i;
		s->factors[n] = omen_records_factors(s->records, other);
		s->codes[n] = omen_records_code(s->records, other);
		n += !(s->open[i] & kept & OMEN_PACKED_FLAG);
	}
	if (n == 0)
		return 0;

	codec->query_from_code(codec, s->query, omen_records_factors(s->records, node),
						   omen_records_code(s->records, node));
	codec->keys(codec, s->query, n, s->factors, s->codes, s->keys);
	s->n_keys += n;
	return n;
}

/* What a key to one kept must be below to exclude a candidate with this key. */
static inline float
select_limit(float key)
{
	return key - SELECT_MARGIN * fabsf(key);
}

/* Move the open candidates that the one kept last excludes to excluded. */
static void
select_exclude(OmenSelector *s, uint64 kept)
{
	int			n_compared = select_compare(s, kept);
	int			n_open = 0;
	int			at = 0;
	int			i;

	for (i = 0; i < s->n_open; i++)
	{
		uint64		word = s->open[i];
		bool		excluded = false;

		if (at < n_compared && s->compared[at] == i)
			excluded = s->keys[at++] < select_limit(omen_packed_key(word));
		s->open[n_open] = word;
		s->excluded[s->n_excluded] = word;
		n_open += !excluded;
		s->n_excluded += excluded;
	}
	s->n_open = n_open;
}

int
omen_select_neighbours(OmenSelector *s, const uint64 *candidates, int n,
					   int max_kept, int fill_to, uint64 *chosen, int *n_kept)
{
	int			n_chosen = 0;
	int			i;

	Assert(n <= (int) s->max_candidates);
	memcpy(s->open, candidates, sizeof(uint64) * n);
	s->n_open = n;
	s->n_excluded = 0;

	while (s->n_open > 0 && n_chosen < max_kept)
	{
		uint64		kept = s->open[0];

		chosen[n_chosen++] = kept;
		s->n_open--;
		memmove(s->open, s->open + 1, sizeof(uint64) * s->n_open);
		if (s->n_open > 0 && n_chosen < max_kept)
			select_exclude(s, kept);
	}
	*n_kept = n_chosen;

	if (n_chosen < fill_to)
	{
		/* nothing is open any more: max_kept is not below fill_to */
		omen_packed_sort(s->excluded, s->n_excluded);
		for (i = 0; i < s->n_excluded && n_chosen < fill_to; i++)
			chosen[n_chosen++] = s->excluded[i];
	}
	return n_chosen;
}

uint64
omen_selector_n_keys(const OmenSelector *s)
{
	return s->n_keys;
}
