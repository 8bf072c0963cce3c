/*-------------------------------------------------------------------------
 *
 * graph_extend.c
 *	  What of an older graph goes on in a new one: numbers, samples, links.
 *
 * A merge adds few nodes to many and leaves some out.  The many keep their
 * order and their links, so that what remains to be done is linking the few
 * (omen_graph_extend).
 *
 * A new node gets a number right after the sample that is nearest to it among
 * those of the nearest centre: where k-means would have put it.  Between two
 * samples that have thus moved far apart, nodes in between become samples.
 *
 * A node that loses links to removed ones gets as many in their place: the
 * neighbours of those removed compete, by the heuristic of every selection,
 * with the links that are left.  The latter count as clean (graph_select.h):
 * earlier selections have left them side by side.  So most of the cost is the
 * keys of the newcomers, without any search.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_lifted.h"
#include "src/graph/graph_locality.h"
#include "src/graph/graph_select.h"
#include "src/graph/graph_terms.h"

/* Claimed at a time: nodes to be numbered, lists to be carried over. */
#define PLACE_PIECE 64
#define CARRY_PIECE 256

/*
 * In place of lost links, so many of the removed nodes' neighbours are looked
 * at in all, and so many of the nearest for each link are candidates.
 */
#define REPAIR_NEIGHBOURS 512
#define REPAIR_CANDIDATES 3

/* Keys are computed for so many nodes at a time. */
#define PLACE_CHUNK 64

static inline bool
node_is_removed(const OmenOlderGraph *older, uint32 node)
{
	return older->removed && ((older->removed[node / 64] >> (node % 64)) & 1);
}

/* ---------- the routing table ---------- */

/* The nodes from .. to that go on. */
static uint32
count_carried(const OmenOlderGraph *older, uint32 from, uint32 to)
{
	uint32		n = to - from;

	if (!older->removed)
		return n;
	for (; from < to; from++)
		n -= node_is_removed(older, from);
	return n;
}

/*
 * The older routing table over the nodes that go on, counted from 0.  In place
 * of a sample that was removed stands the next node left; samples that fall
 * together become one, and centres that have none go.
 */
static void
carry_routing(const OmenHost *host, const OmenOlderGraph *older, const OmenCodec *codec,
			  uint32 n_carried, OmenRouting *routing)
{
	const OmenRouting *old = older->routing;
	uint32		n_before = 0;
	uint32		node = 0;
	uint32		centre;
	uint32		i;

	routing->centres.codec = codec;
	routing->centres.factors = host->alloc(host->arg, (size_t) old->centres.n * codec->factor_bytes);
	routing->centres.codes = host->alloc(host->arg, (size_t) old->centres.n * codec->code_bytes);
	routing->first_sample = host->alloc(host->arg, sizeof(uint32) * (old->centres.n + 1));
	routing->sample_nodes = host->alloc(host->arg, sizeof(uint32) * old->n_samples);
	for (centre = 0; centre < old->centres.n; centre++)
	{
		uint32		first = routing->n_samples;

		for (i = old->first_sample[centre]; i < old->first_sample[centre + 1]; i++)
		{
			n_before += count_carried(older, node, old->sample_nodes[i]);
			node = old->sample_nodes[i];
			if (n_before < n_carried &&
				(routing->n_samples == 0 || routing->sample_nodes[routing->n_samples - 1] < n_before))
				routing->sample_nodes[routing->n_samples++] = n_before;
		}
		if (routing->n_samples == first)
			continue;
		omen_records_copy(&routing->centres, routing->centres.n, &old->centres, centre);
		routing->first_sample[routing->centres.n++] = first;
	}
	/* what is left may all have been before the first sample */
	if (routing->n_samples == 0)
	{
		omen_records_copy(&routing->centres, 0, &old->centres, 0);
		routing->centres.n = 1;
		routing->first_sample[0] = 0;
		routing->sample_nodes[routing->n_samples++] = 0;
	}
	routing->first_sample[routing->centres.n] = routing->n_samples;
}

/* How many samples a stretch of so many numbers, which begins with one, should have. */
static uint32
samples_of_stretch(uint32 n)
{
	return n < 2 * OMEN_CLUSTER_NODES ? 1 : n / OMEN_CLUSTER_NODES;
}

/*
 * From samples in carried numbers to samples in new ones: starts[i] is the new
 * number of sample i, starts[n_samples] the number of nodes.  Stretches that
 * have grown get further samples, evenly spread.
 */
static void
spread_samples(const OmenHost *host, OmenRouting *routing, const uint32 *starts)
{
	uint32		total = 0;
	uint32		centre = 0;
	uint32	   *samples;
	uint32		i;
	uint32		j;

	for (i = 0; i < routing->n_samples; i++)
		total += samples_of_stretch(starts[i + 1] - starts[i]);
	samples = host->alloc(host->arg, sizeof(uint32) * total);
	total = 0;
	for (i = 0; i < routing->n_samples; i++)
	{
		uint32		n = starts[i + 1] - starts[i];
		uint32		n_wanted = samples_of_stretch(n);

		if (centre < routing->centres.n && routing->first_sample[centre] == i)
			routing->first_sample[centre++] = total;
		for (j = 0; j < n_wanted; j++)
			samples[total++] = starts[i] + (uint32) ((uint64) n * j / n_wanted);
	}
	host->release(host->arg, routing->sample_nodes);
	routing->sample_nodes = samples;
	routing->n_samples = total;
	routing->first_sample[routing->centres.n] = total;
}

/* ---------- numbering ---------- */

/* Finds places for new nodes; each member of the team has one. */
typedef struct Placer
{
	OmenCodec	distance;
	OmenRecords records;		/* with that codec, and so the centres */
	OmenRecords centres;
	const OmenRouting *routing;
	OmenQuery  *query;
} Placer;

/* The nearest of nodes (NULL: of 0 .. n) to the query: its place among them. */
static uint32
placer_nearest(const Placer *placer, const OmenRecords *records, const uint32 *nodes, uint32 n)
{
	uint32		chunk[PLACE_CHUNK];
	float		keys[PLACE_CHUNK];
	uint64		nearest = OMEN_PACKED_NONE;
	uint32		from;
	uint32		i;

	for (from = 0; from < n; from += PLACE_CHUNK)
	{
		uint32		n_chunk = Min(n - from, PLACE_CHUNK);

		for (i = 0; i < n_chunk; i++)
			chunk[i] = nodes ? nodes[from + i] : from + i;
		omen_records_keys(records, placer->query, chunk, (int) n_chunk, keys);
		for (i = 0; i < n_chunk; i++)
			nearest = Min(nearest, omen_packed_make(keys[i], from + i));
	}
	return omen_packed_node(nearest);
}

/* Which sample a new node belongs to. */
static uint32
placer_find(const Placer *placer, uint32 node)
{
	const OmenRouting *routing = placer->routing;
	uint32		centre;
	uint32		first;

	placer->distance.query_from_code(&placer->distance, placer->query,
									 omen_records_factors(&placer->records, node),
									 omen_records_code(&placer->records, node));
	centre = placer_nearest(placer, &placer->centres, NULL, placer->centres.n);
	first = routing->first_sample[centre];
	return first + placer_nearest(placer, &placer->records, routing->sample_nodes + first,
								  routing->first_sample[centre + 1] - first);
}

/* places[i]: the sample that new node i belongs to.  Collective. */
static void
find_places(const OmenTeam *team, const OmenRecords *records, uint32 n_carried,
			const OmenRouting *routing, uint32 *places)
{
	const OmenHost *host = &team->host;
	uint32	   *claim = team->share(team->arg, sizeof(uint32));
	Placer		placer;
	uint32		from;
	uint32		to;

	omen_locality_codec(&placer.distance, records->codec);
	placer.records = *records;
	placer.records.codec = &placer.distance;
	placer.centres = routing->centres;
	placer.centres.codec = &placer.distance;
	placer.routing = routing;
	placer.query = host->alloc(host->arg, placer.distance.query_bytes);
	while (omen_team_claim(claim, PLACE_PIECE, records->n - n_carried, &from, &to))
	{
		host->tick(host->arg, from);
		for (; from < to; from++)
			places[from] = placer_find(&placer, n_carried + from);
	}
	host->release(host->arg, placer.query);
	team->unshare(team->arg, claim);	/* and places are there */
}

/*
 * starts[i]: the new number of sample i; one more says how many nodes there
 * are.  Each sample is followed by its new nodes.
 */
static uint32 *
count_places(const OmenHost *host, const OmenRouting *routing, const uint32 *places,
			 uint32 n_new, uint32 n)
{
	uint32	   *starts = host->alloc(host->arg, sizeof(uint32) * (routing->n_samples + 1));
	uint32		n_before = 0;
	uint32		i;

	memset(starts, 0, sizeof(uint32) * routing->n_samples);
	for (i = 0; i < n_new; i++)
		starts[places[i]]++;
	for (i = 0; i < routing->n_samples; i++)
	{
		uint32		count = starts[i];

		starts[i] = routing->sample_nodes[i] + n_before;
		n_before += count;
	}
	starts[i] = n;
	return starts;
}

static void
fill_order(const OmenHost *host, const OmenRouting *routing, const uint32 *starts,
		   const uint32 *places, uint32 n, uint32 n_carried, uint32 *order)
{
	uint32	   *next = host->alloc(host->arg, sizeof(uint32) * routing->n_samples);
	uint32		node = 0;
	uint32		at;
	uint32		i;

	memset(order, 0xff, sizeof(uint32) * n);
	for (i = 0; i < routing->n_samples; i++)
		next[i] = starts[i] + 1;
	for (i = 0; i < n - n_carried; i++)
		order[next[places[i]]++] = n_carried + i;

	/* the carried ones take the places left, in their order */
	for (at = 0; at < n; at++)
	{
		if (order[at] == OMEN_NO_NODE)
			order[at] = node++;
	}
	host->release(host->arg, next);
}

void
omen_locality_extend(const OmenTeam *team, const OmenRecords *records,
					 const OmenOlderGraph *older, uint32 n_carried,
					 uint32 *order, OmenRouting *routing)
{
	const OmenHost *host = &team->host;
	uint32		n_new = records->n - n_carried;
	uint32	   *places;
	uint32	   *starts;

	if (n_carried == 0)
	{
		omen_locality_order(team, records, order, routing);
		return;
	}
	memset(routing, 0, sizeof(*routing));
	carry_routing(host, older, records->codec, n_carried, routing);
	places = team->share(team->arg, sizeof(uint32) * Max(n_new, 1));
	find_places(team, records, n_carried, routing, places);
	starts = count_places(host, routing, places, n_new, records->n);
	if (omen_team_leads(team))
		fill_order(host, routing, starts, places, records->n, n_carried, order);
	spread_samples(host, routing, starts);
	host->release(host->arg, starts);
	team->unshare(team->arg, places);	/* and order is there */
	omen_terms_build(team, records, order, &routing->terms);
}

/* ---------- links ---------- */

/* numbers[older number]: the new one, OMEN_NO_NODE of those removed. */
static void
number_carried(const OmenHost *host, const OmenOlderGraph *older, const uint32 *order, uint32 n,
			   uint32 n_carried, uint32 *numbers)
{
	uint32	   *carried = host->alloc(host->arg, sizeof(uint32) * n_carried);
	uint32		next = 0;
	uint32		node;

	for (node = 0; node < n; node++)
	{
		if (order[node] < n_carried)
			carried[order[node]] = node;
	}
	for (node = 0; node < older->n; node++)
		numbers[node] = node_is_removed(older, node) ? OMEN_NO_NODE : carried[next++];
	host->release(host->arg, carried);
}

/* What all members share while links are carried over. */
typedef struct CarryShared
{
	uint32		list_claim;
	uint32		new_claim;
	uint32		numbers[FLEXIBLE_ARRAY_MEMBER];
} CarryShared;

/* What each has of its own. */
typedef struct Carrier
{
	const OmenRecords *records;
	const OmenOlderGraph *older;
	const uint32 *numbers;
	uint32		max_links;
	uint32	   *links;
	OmenQuery  *query;
	OmenSelector *selector;
} Carrier;

static const uint32 *
older_list(const Carrier *carrier, uint32 old_node)
{
	return carrier->older->links + (size_t) old_node * carrier->max_links;
}

/*
 * Split an older node's list into what is left of it, in new numbers, and the
 * removed ones, in older numbers.
 */
static void
split_list(const Carrier *carrier, uint32 old_node, uint32 *list, uint32 *n,
		   uint32 *removed, uint32 *n_removed)
{
	const uint32 *old = older_list(carrier, old_node);
	uint32		i;

	*n = *n_removed = 0;
	for (i = 0; i < carrier->max_links && old[i] != OMEN_NO_NODE; i++)
	{
		if (carrier->numbers[old[i]] != OMEN_NO_NODE)
			list[(*n)++] = carrier->numbers[old[i]];
		else
			removed[(*n_removed)++] = old[i];
	}
}

/*
 * The neighbours of removed nodes that are left, without repetition, and
 * without a node and those in its list.  Returns how many.
 */
static uint32
removed_neighbours(const Carrier *carrier, uint32 node, const uint32 *list, uint32 n,
				   const uint32 *removed, uint32 n_removed, uint32 pool[REPAIR_NEIGHBOURS])
{
	uint32		own[OMEN_MAX_LINKS + 1];
	uint32		n_pool = 0;
	uint32		n_distinct = 0;
	uint32		at_own = 0;
	uint32		i;
	uint32		j;

	for (i = 0; i < n_removed; i++)
	{
		const uint32 *old = older_list(carrier, removed[i]);

		for (j = 0; j < carrier->max_links && old[j] != OMEN_NO_NODE && n_pool < REPAIR_NEIGHBOURS; j++)
		{
			pool[n_pool] = carrier->numbers[old[j]];
			n_pool += pool[n_pool] != OMEN_NO_NODE;
		}
	}
	memcpy(own, list, sizeof(uint32) * n);
	own[n] = node;
	omen_nodes_sort(own, n + 1);
	omen_nodes_sort(pool, n_pool);
	for (i = 0; i < n_pool; i++)
	{
		while (at_own <= n && own[at_own] < pool[i])
			at_own++;
		if ((at_own > n || own[at_own] != pool[i]) &&
			(n_distinct == 0 || pool[n_distinct - 1] != pool[i]))
			pool[n_distinct++] = pool[i];
	}
	return n_distinct;
}

/* The keys between a node, which the query is, and others, as packed words. */
static void
carry_keys(const Carrier *carrier, const uint32 *nodes, uint32 n, uint64 flag, uint64 *words)
{
	float		keys[REPAIR_NEIGHBOURS];
	uint32		i;

	omen_records_keys(carrier->records, carrier->query, nodes, (int) n, keys);
	for (i = 0; i < n; i++)
		words[i] = omen_packed_make(keys[i], nodes[i]) | flag;
}

/* A node's list of n links gets as many as it had before some were removed. */
static void
repair_list(const Carrier *carrier, uint32 node, uint32 *list, uint32 n,
			const uint32 *removed, uint32 n_removed)
{
	const OmenRecords *records = carrier->records;
	uint64		words[OMEN_MAX_LINKS + REPAIR_NEIGHBOURS];
	uint64		chosen[OMEN_MAX_LINKS];
	uint32		pool[REPAIR_NEIGHBOURS];
	uint32		n_pool;
	uint32		n_candidates;
	int			n_chosen;
	int			n_kept;
	int			i;

	n_pool = removed_neighbours(carrier, node, list, n, removed, n_removed, pool);
	records->codec->query_from_code(records->codec, carrier->query,
									omen_records_factors(records, node),
									omen_records_code(records, node));
	omen_records_prefetch(records, list, (int) n);
	omen_records_prefetch(records, pool, (int) n_pool);
	carry_keys(carrier, pool, n_pool, 0, words + n);
	carry_keys(carrier, list, n, OMEN_PACKED_FLAG, words);
	n_candidates = Min(n_pool, REPAIR_CANDIDATES * n_removed);
	omen_packed_select(words + n, n_pool, n_candidates);
	omen_packed_sort(words, n + n_candidates);
	n_chosen = omen_select_neighbours(carrier->selector, words, (int) (n + n_candidates),
									  (int) (n + n_removed), (int) (n + n_removed), chosen,
									  &n_kept);
	for (i = 0; i < n_chosen; i++)
		list[i] = omen_packed_node(chosen[i]);
	for (; i < (int) carrier->max_links; i++)
		list[i] = OMEN_NO_NODE;
}

/* The new list of a node that goes on. */
static void
carry_list(const Carrier *carrier, uint32 old_node)
{
	uint32		node = carrier->numbers[old_node];
	uint32	   *list = carrier->links + (size_t) node * carrier->max_links;
	uint32		removed[OMEN_MAX_LINKS];
	uint32		n;
	uint32		n_removed;

	split_list(carrier, old_node, list, &n, removed, &n_removed);
	if (n_removed > 0)
		repair_list(carrier, node, list, n, removed, n_removed);
	else
		memset(list + n, 0xff, sizeof(uint32) * (carrier->max_links - n));
}

static void
carry_lists(const OmenTeam *team, Carrier *carrier, CarryShared *shared)
{
	const OmenHost *host = &team->host;
	uint32		from;
	uint32		to;

	carrier->query = host->alloc(host->arg, carrier->records->codec->query_bytes);
	carrier->selector = omen_selector_create(host, carrier->records,
											 OMEN_MAX_LINKS + REPAIR_NEIGHBOURS);
	while (omen_team_claim(&shared->list_claim, CARRY_PIECE, carrier->older->n, &from, &to))
	{
		host->tick(host->arg, from);
		for (; from < to; from++)
		{
			if (carrier->numbers[from] != OMEN_NO_NODE)
				carry_list(carrier, from);
		}
	}
	host->release(host->arg, carrier->query);
	omen_selector_destroy(carrier->selector);
}

void
omen_links_carry(const OmenTeam *team, const OmenRecords *records,
				 const OmenOlderGraph *older, const uint32 *order, uint32 n_carried,
				 uint32 m, uint32 *links)
{
	CarryShared *shared = team->share(team->arg, offsetof(CarryShared, numbers) +
									  sizeof(uint32) * older->n);
	LinkedRecords linked;
	Carrier		carrier = {&linked.records, older, shared->numbers, 2 * m, links, NULL, NULL};
	uint32		from;
	uint32		to;

	omen_linked_records(&linked, records);
	if (omen_team_leads(team))
		number_carried(&team->host, older, order, records->n, n_carried, shared->numbers);
	team->barrier(team->arg);
	carry_lists(team, &carrier, shared);
	while (omen_team_claim(&shared->new_claim, CARRY_PIECE, records->n, &from, &to))
	{
		for (; from < to; from++)
		{
			if (order[from] >= n_carried)
				memset(links + (size_t) from * carrier.max_links, 0xff,
					   sizeof(uint32) * carrier.max_links);
		}
	}
	team->unshare(team->arg, shared);	/* and links are there */
}
