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
 * Candidates still in play, nearest first, in parallel arrays from `from` to
 * `to`.  limits: what a key to one kept must be below to exclude the
 * candidate.
 */
typedef struct OpenCandidates
{
	uint64	   *words;
	const void **factors;
	const uint8 **codes;
	float	   *limits;
	int			from;
	int			to;
} OpenCandidates;

struct OmenSelector
{
	const OmenHost *host;
	const OmenRecords *records;
	OmenQuery  *query;
	uint32		max_candidates;

	OpenCandidates open[2];		/* those that are not clean, and those that are */
	float	   *keys;
	uint64	   *excluded;
	int			n_excluded;
};

static void *
selector_alloc(OmenSelector *s, size_t element_bytes)
{
	/* exclusion writes one element more than it keeps */
	return s->host->alloc(s->host->arg, element_bytes * (s->max_candidates + 1));
}

OmenSelector *
omen_selector_create(const OmenHost *host, const OmenRecords *records, uint32 max_candidates)
{
	OmenSelector *s = host->alloc(host->arg, sizeof(OmenSelector));
	int			clean;

	memset(s, 0, sizeof(*s));
	s->host = host;
	s->records = records;
	s->max_candidates = max_candidates;
	s->query = host->alloc(host->arg, records->codec->query_bytes);
	s->keys = selector_alloc(s, sizeof(float));
	s->excluded = selector_alloc(s, sizeof(uint64));
	for (clean = 0; clean < 2; clean++)
	{
		s->open[clean].words = selector_alloc(s, sizeof(uint64));
		s->open[clean].factors = selector_alloc(s, sizeof(void *));
		s->open[clean].codes = selector_alloc(s, sizeof(void *));
		s->open[clean].limits = selector_alloc(s, sizeof(float));
	}
	return s;
}

void
omen_selector_destroy(OmenSelector *s)
{
	const OmenHost *host = s->host;
	int			clean;

	host->release(host->arg, s->query);
	host->release(host->arg, s->keys);
	host->release(host->arg, s->excluded);
	for (clean = 0; clean < 2; clean++)
	{
		host->release(host->arg, s->open[clean].words);
		host->release(host->arg, s->open[clean].factors);
		host->release(host->arg, s->open[clean].codes);
		host->release(host->arg, s->open[clean].limits);
	}
	host->release(host->arg, s);
}

/* What a key to one kept must be below to exclude a candidate with this key. */
static inline float
select_limit(const OmenCodec *codec, float key)
{
	return key - codec->link_margin * fabsf(key);
}

/* Bring all candidates into play. */
static void
select_begin(OmenSelector *s, const uint64 *candidates, int n)
{
	const OmenRecords *records = s->records;
	int			i;

	s->n_excluded = 0;
	s->open[0].from = s->open[0].to = 0;
	s->open[1].from = s->open[1].to = 0;
	for (i = 0; i < n; i++)
	{
		uint64		word = candidates[i];
		OpenCandidates *open = &s->open[word & OMEN_PACKED_FLAG];
		int			at = open->to++;

		open->words[at] = word;
		open->factors[at] = omen_records_factors(records, omen_packed_node(word));
		open->codes[at] = omen_records_code(records, omen_packed_node(word));
		open->limits[at] = select_limit(s->records->codec, omen_packed_key(word));
	}
}

/*
 * Compare open candidates with the one that the query is, and move those that
 * it excludes to excluded.
 */
static void
select_exclude(OmenSelector *s, OpenCandidates *open)
{
	const OmenCodec *codec = s->records->codec;
	int			n = open->to - open->from;
	int			to = open->from;
	int			n_excluded = s->n_excluded;
	int			i;

	codec->keys(codec, s->query, n, open->factors + open->from, open->codes + open->from, s->keys);
	for (i = 0; i < n; i++)
	{
		int			at = open->from + i;
		uint64		word = open->words[at];
		int			excluded = s->keys[i] < open->limits[at];

		/* no branch: the outcome is not predictable */
		s->excluded[n_excluded] = word;
		n_excluded += excluded;
		open->words[to] = word;
		open->factors[to] = open->factors[at];
		open->codes[to] = open->codes[at];
		open->limits[to] = open->limits[at];
		to += !excluded;
	}
	s->n_excluded = n_excluded;
	open->to = to;
}

/* The part in play whose first candidate is the nearest of all; NULL if none is left. */
static OpenCandidates *
select_nearest(OmenSelector *s)
{
	OpenCandidates *unclean = &s->open[0];
	OpenCandidates *clean = &s->open[1];

	if (unclean->from == unclean->to)
		return clean->from == clean->to ? NULL : clean;
	if (clean->from == clean->to)
		return unclean;
	return unclean->words[unclean->from] < clean->words[clean->from] ? unclean : clean;
}

/* Add the nearest of those excluded to the chosen, up to fill_to. */
static int
select_fill(OmenSelector *s, uint64 *chosen, int n_chosen, int fill_to)
{
	int			n = Min(fill_to - n_chosen, s->n_excluded);

	if (n <= 0)
		return n_chosen;
	omen_packed_select(s->excluded, s->n_excluded, n);
	omen_packed_sort(s->excluded, n);
	memcpy(chosen + n_chosen, s->excluded, sizeof(uint64) * n);
	return n_chosen + n;
}

int
omen_select_neighbours(OmenSelector *s, const uint64 *candidates, int n,
					   int max_kept, int fill_to, uint64 *chosen, int *n_kept)
{
	const OmenCodec *codec = s->records->codec;
	OpenCandidates *nearest;
	int			n_chosen = 0;

	Assert(n <= (int) s->max_candidates && fill_to <= max_kept);
	select_begin(s, candidates, n);
	while (n_chosen < max_kept && (nearest = select_nearest(s)) != NULL)
	{
		int			at = nearest->from++;
		bool		is_clean = (nearest == &s->open[1]);

		chosen[n_chosen++] = nearest->words[at];
		if (n_chosen == max_kept)
			break;
		codec->query_from_code(codec, s->query, nearest->factors[at], nearest->codes[at]);
		select_exclude(s, &s->open[0]);
		if (!is_clean)
			select_exclude(s, &s->open[1]);
	}
	*n_kept = n_chosen;
	return select_fill(s, chosen, n_chosen, fill_to);
}
