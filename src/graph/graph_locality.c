/*-------------------------------------------------------------------------
 *
 * graph_locality.c
 *	  Number the nodes so that near vectors have near numbers.
 *
 * The neighbours of a node then lie on few pages (and in few cache lines),
 * which is most of what a search costs.  Two levels of k-means on codes: about
 * sqrt(n / OMEN_CLUSTER_NODES) clusters, each cut into sub-clusters of about
 * OMEN_CLUSTER_NODES.  Clusters are numbered along a chain that goes from one
 * centre to the nearest one left, and so are the sub-clusters within each.
 *
 * The centres and, for each sub-cluster, the node nearest to its centre make
 * up the routing table.
 *
 * Floats are clustered by L2 distance, whatever the metric: near is near, and
 * with inner products the longest centre would attract everything.  (A kind's
 * codes are the same for all metrics.)  Means are sums of doubles in node order,
 * so the result is the same everywhere.  Codes without means are clustered
 * around some of themselves.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

#include <math.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_locality.h"
#include "src/graph/graph_terms.h"

/* At most so many clusters, and sub-clusters of each. */
#define MAX_CLUSTERS 256

/* Members looked at per cluster while centres move, and how often they move. */
#define KMEANS_SAMPLE 64
#define KMEANS_ROUNDS 3

/* tick() after comparing about so many bytes of codes */
#define TICK_BYTES (8 * 1024 * 1024)

/* Members of a cluster are assigned so many at a time. */
#define ASSIGN_PIECE 1024

/* A set of nodes and its clusters. */
typedef struct Clustering
{
	const uint32 *members;		/* NULL: all nodes */
	uint32		n_members;
	uint32		n_clusters;
	OmenRecords centres;
	uint16	   *cluster;		/* of each member */
	uint32	   *sizes;			/* of the clusters */
	uint64	   *nearest;		/* to each centre: packed key and node; NULL if not wanted */
} Clustering;

/* What all of this file works with. */
typedef struct Locality
{
	const OmenTeam *team;
	const OmenRecords *records;
	OmenCodec	distance;		/* the records' codec, but for cluster_metric() */
	OmenQuery  *query;
	float	   *decoded;		/* one vector */
	float	   *keys;			/* MAX_CLUSTERS */
	double	   *sums;			/* MAX_CLUSTERS vectors */
	uint32	   *counts;			/* MAX_CLUSTERS + 1 */
	const void **factor_pointers;	/* MAX_CLUSTERS */
	const uint8 **code_pointers;
	uint64		bytes_since_tick;
	uint32		n_done;
} Locality;

/* What the team shares. */
typedef struct LocalityShared
{
	uint32		sample_claims[KMEANS_ROUNDS];
	uint32		assign_claim;
	uint32		cluster_claim;
	uint32		n_samples[MAX_CLUSTERS];	/* of each cluster */
} LocalityShared;

static void *
locality_alloc(Locality *loc, size_t bytes)
{
	return loc->team->host.alloc(loc->team->host.arg, bytes);
}

static void
locality_release(Locality *loc, void *pointer)
{
	loc->team->host.release(loc->team->host.arg, pointer);
}

static void
locality_barrier(Locality *loc)
{
	loc->team->barrier(loc->team->arg);
}

/* After comparing a record with n codes. */
static void
locality_tick(Locality *loc, const uint8 *code, uint32 n_codes)
{
	uint32		code_bytes = loc->distance.code_bytes;

	/* their elements are read one by one */
	if (loc->distance.variable)
		code_bytes += 8 * ((const OmenCodeRef *) code)->n_bytes;
	loc->bytes_since_tick += (uint64) n_codes * code_bytes;
	if (loc->bytes_since_tick >= TICK_BYTES)
	{
		loc->bytes_since_tick = 0;
		loc->team->host.tick(loc->team->host.arg, loc->n_done);
	}
}

static uint32
cluster_count(double wanted)
{
	return (uint32) Max(1.0, Min(floor(wanted + 0.5), (double) MAX_CLUSTERS));
}

/* ---------- k-means ---------- */

static void
records_alloc(Locality *loc, OmenRecords *records, uint32 n)
{
	records->codec = loc->records->codec;
	records->n = n;
	records->factors = locality_alloc(loc, (size_t) n * records->codec->factor_bytes);
	records->codes = locality_alloc(loc, (size_t) n * records->codec->code_bytes);
}

/* Remember where the centres are, for the comparisons to come. */
static void
centres_point(Locality *loc, const OmenRecords *centres)
{
	uint32		i;

	for (i = 0; i < centres->n; i++)
	{
		loc->factor_pointers[i] = omen_records_factors(centres, i);
		loc->code_pointers[i] = omen_records_code(centres, i);
	}
}

/*
 * The centre nearest to a record, as a packed word; centres_point() has been
 * called.
 */
static uint64
centres_nearest(Locality *loc, const OmenRecords *centres, const OmenRecords *records,
				uint32 node)
{
	OmenCodec  *codec = &loc->distance;
	float		least;
	uint32		at = 0;
	uint32		i;

	codec->query_from_code(codec, loc->query, omen_records_factors(records, node),
						   omen_records_code(records, node));
	codec->keys(codec, loc->query, (int) centres->n, loc->factor_pointers,
				loc->code_pointers, loc->keys);
	least = loc->keys[0];
	for (i = 1; i < centres->n; i++)
	{
		if (loc->keys[i] < least)
		{
			least = loc->keys[i];
			at = i;
		}
	}
	locality_tick(loc, omen_records_code(records, node), centres->n + 1);
	return omen_packed_make(least, at);
}

static inline uint32
clustering_node(const Clustering *c, uint32 member)
{
	return c->members ? c->members[member] : member;
}

/* The i-th of k members that are spread evenly over the set. */
static inline uint32
spread_node(const Clustering *c, uint32 i, uint32 k)
{
	return clustering_node(c, (uint32) ((uint64) i * c->n_members / k));
}

/* In whatever order the table is, that spreads the first centres. */
static void
kmeans_start(Clustering *c, const OmenRecords *records)
{
	uint32		i;

	for (i = 0; i < c->n_clusters; i++)
		omen_records_copy(&c->centres, i, records, spread_node(c, i, c->n_clusters));
}

static uint32
kmeans_sample_size(const Clustering *c)
{
	return Min(c->n_members, c->n_clusters * KMEANS_SAMPLE);
}

/* Assign the members from .. to of the sample. */
static void
kmeans_assign_sample(Locality *loc, Clustering *c, uint32 from, uint32 to)
{
	uint32		n_sample = kmeans_sample_size(c);

	for (; from < to; from++)
		c->cluster[from] = (uint16)
			omen_packed_node(centres_nearest(loc, &c->centres, loc->records,
											 spread_node(c, from, n_sample)));
}

/* Move each centre to the mean of the sample's members that are assigned to it. */
static void
kmeans_move(Locality *loc, Clustering *c)
{
	const OmenCodec *codec = loc->records->codec;
	uint32		dims = codec->dims;
	uint32		n_sample = kmeans_sample_size(c);
	uint32		i;
	uint32		j;

	memset(loc->sums, 0, sizeof(double) * dims * c->n_clusters);
	memset(loc->counts, 0, sizeof(uint32) * c->n_clusters);
	for (i = 0; i < n_sample; i++)
	{
		uint32		node = spread_node(c, i, n_sample);
		double	   *sum = loc->sums + (size_t) c->cluster[i] * dims;

		codec->decode(codec, omen_records_factors(loc->records, node),
					  omen_records_code(loc->records, node), loc->decoded);
		for (j = 0; j < dims; j++)
			sum[j] += loc->decoded[j];
		loc->counts[c->cluster[i]]++;
	}

	for (i = 0; i < c->n_clusters; i++)
	{
		if (loc->counts[i] == 0)
			continue;
		for (j = 0; j < dims; j++)
			loc->decoded[j] = (float) (loc->sums[(size_t) i * dims + j] / loc->counts[i]);
		codec->encode(codec, loc->decoded,
					  c->centres.factors + (size_t) i * codec->factor_bytes,
					  c->centres.codes + (size_t) i * codec->code_bytes);
	}
}

/* Assign the members from .. to, and find those nearest to the centres. */
static void
kmeans_assign(Locality *loc, Clustering *c, uint32 from, uint32 to)
{
	for (; from < to; from++)
	{
		uint32		node = clustering_node(c, from);
		uint64		word = centres_nearest(loc, &c->centres, loc->records, node);
		uint32		at = omen_packed_node(word);

		c->cluster[from] = (uint16) at;
		word = omen_packed_make(omen_packed_key(word), node);
		if (c->nearest)
			c->nearest[at] = Min(c->nearest[at], word);
	}
}

static void
count_sizes(Clustering *c)
{
	uint32		i;

	memset(c->sizes, 0, sizeof(uint32) * c->n_clusters);
	for (i = 0; i < c->n_members; i++)
		c->sizes[c->cluster[i]]++;
}

static int
kmeans_rounds(const Locality *loc, const Clustering *c)
{
	return c->n_clusters > 1 && loc->records->codec->has_means ? KMEANS_ROUNDS : 0;
}

/* Cluster a set that is this member's alone; some clusters may be empty. */
static void
kmeans(Locality *loc, Clustering *c)
{
	int			round;
	uint32		i;

	centres_point(loc, &c->centres);
	kmeans_start(c, loc->records);
	for (round = 0; round < kmeans_rounds(loc, c); round++)
	{
		kmeans_assign_sample(loc, c, 0, kmeans_sample_size(c));
		kmeans_move(loc, c);
	}
	for (i = 0; i < c->n_clusters; i++)
		c->nearest[i] = OMEN_PACKED_NONE;
	kmeans_assign(loc, c, 0, c->n_members);
	count_sizes(c);
}

/*
 * The same as a team: c->cluster is shared, and so is the work of assigning.
 * Each member moves its own centres, all of them alike.
 */
static void
kmeans_together(Locality *loc, Clustering *c, LocalityShared *shared)
{
	int			round;
	uint32		from;
	uint32		to;

	centres_point(loc, &c->centres);
	kmeans_start(c, loc->records);
	for (round = 0; round < kmeans_rounds(loc, c); round++)
	{
		while (omen_team_claim(&shared->sample_claims[round], ASSIGN_PIECE,
							   kmeans_sample_size(c), &from, &to))
			kmeans_assign_sample(loc, c, from, to);
		locality_barrier(loc);
		kmeans_move(loc, c);
		locality_barrier(loc);	/* the next round overwrites c->cluster */
	}
	while (omen_team_claim(&shared->assign_claim, ASSIGN_PIECE, c->n_members, &from, &to))
		kmeans_assign(loc, c, from, to);
	locality_barrier(loc);
	count_sizes(c);
}

/* ---------- numbering ---------- */

/*
 * rank[cluster]: place along a chain from each centre to the nearest one left;
 * empty clusters get no place.  The chain starts at an end: at the centre
 * that is farthest from the first one.  Returns its length.
 */
static uint32
chain_centres(Locality *loc, Clustering *c, uint16 *rank)
{
	OmenCodec  *codec = &loc->distance;
	const uint16 unranked = PG_UINT16_MAX;
	uint32		n_ranked = 0;
	uint32		current = 0;
	float		distance = -1;
	uint32		i;

	while (c->sizes[current] == 0)
		current++;
	centres_nearest(loc, &c->centres, &c->centres, current);	/* fills in keys */
	for (i = 0; i < c->n_clusters; i++)
	{
		rank[i] = unranked;
		if (c->sizes[i] > 0 && loc->keys[i] > distance)
		{
			distance = loc->keys[i];
			current = i;
		}
	}

	for (;;)
	{
		uint32		next = c->n_clusters;

		rank[current] = (uint16) n_ranked++;
		codec->query_from_code(codec, loc->query, omen_records_factors(&c->centres, current),
							   omen_records_code(&c->centres, current));
		codec->keys(codec, loc->query, (int) c->n_clusters, loc->factor_pointers,
					loc->code_pointers, loc->keys);
		for (i = 0; i < c->n_clusters; i++)
		{
			if (rank[i] == unranked && c->sizes[i] > 0 &&
				(next == c->n_clusters || loc->keys[i] < loc->keys[next]))
				next = i;
		}
		if (next == c->n_clusters)
			return n_ranked;
		current = next;
	}
}

/* first[rank]: where a cluster begins when members are sorted by rank. */
static void
bounds_by_rank(const Clustering *c, const uint16 *rank, uint32 n_ranked, uint32 *first)
{
	uint32		total = 0;
	uint32		i;

	for (i = 0; i < c->n_clusters; i++)
	{
		if (c->sizes[i] > 0)
			first[rank[i]] = c->sizes[i];
	}
	for (i = 0; i < n_ranked; i++)
	{
		uint32		size = first[i];

		first[i] = total;
		total += size;
	}
	first[n_ranked] = total;
}

/*
 * Put the members in the order of their clusters' ranks (within a cluster,
 * they keep theirs) into sorted.
 */
static void
sort_by_rank(const Clustering *c, const uint16 *rank, const uint32 *first, uint32 *sorted)
{
	uint32		next[MAX_CLUSTERS];
	uint32		i;

	for (i = 0; i < c->n_clusters; i++)
		next[i] = c->sizes[i] > 0 ? first[rank[i]] : 0;
	for (i = 0; i < c->n_members; i++)
		sorted[next[c->cluster[i]]++] = clustering_node(c, i);
}

/*
 * Order one cluster's nodes, members[0 .. n), by sub-cluster.  They will have
 * the numbers from first_number on.  Writes the new numbers of the
 * sub-clusters' samples and returns how many.  scratch has room for n.
 */
static uint32
order_cluster(Locality *loc, Clustering *sub, uint32 *members, uint32 n,
			  uint32 first_number, uint32 *samples, uint32 *scratch)
{
	uint16		rank[MAX_CLUSTERS];
	uint32		n_ranked;
	uint32		i;
	uint32		cluster;

	sub->members = members;
	sub->n_members = n;
	sub->n_clusters = sub->centres.n = cluster_count((double) n / OMEN_CLUSTER_NODES);
	kmeans(loc, sub);
	n_ranked = chain_centres(loc, sub, rank);
	bounds_by_rank(sub, rank, n_ranked, loc->counts);
	sort_by_rank(sub, rank, loc->counts, scratch);
	memcpy(members, scratch, sizeof(uint32) * n);

	for (cluster = 0; cluster < sub->n_clusters; cluster++)
	{
		uint32		sample;

		if (sub->sizes[cluster] == 0)
			continue;
		sample = omen_packed_node(sub->nearest[cluster]);
		i = loc->counts[rank[cluster]];
		while (members[i] != sample)
			i++;
		samples[rank[cluster]] = first_number + i;
	}
	return n_ranked;
}

/* ---------- the whole ---------- */

/* All but c->cluster, and c->nearest. */
static void
clustering_alloc(Locality *loc, Clustering *c, uint32 max_clusters)
{
	memset(c, 0, sizeof(*c));
	c->n_clusters = max_clusters;
	records_alloc(loc, &c->centres, max_clusters);
	c->sizes = locality_alloc(loc, sizeof(uint32) * max_clusters);
}

static void
clustering_release(Locality *loc, Clustering *c)
{
	locality_release(loc, c->centres.factors);
	locality_release(loc, c->centres.codes);
	locality_release(loc, c->sizes);
}

static OmenMetric
cluster_metric(OmenMetric metric)
{
	switch (metric)
	{
		case OMEN_METRIC_HAMMING:
		case OMEN_METRIC_JACCARD:
			return metric;
		default:
			return OMEN_METRIC_L2;
	}
}

void
omen_locality_codec(OmenCodec *distance, const OmenCodec *codec)
{
	omen_codec_init(distance, codec->kind, cluster_metric(codec->metric), codec->dims);
}

static void
locality_begin(Locality *loc, const OmenTeam *team, const OmenRecords *records)
{
	const OmenCodec *codec = records->codec;

	memset(loc, 0, sizeof(*loc));
	loc->team = team;
	loc->records = records;
	omen_locality_codec(&loc->distance, codec);
	loc->query = locality_alloc(loc, loc->distance.query_bytes);
	loc->keys = locality_alloc(loc, sizeof(float) * MAX_CLUSTERS);
	if (codec->has_means)
	{
		loc->decoded = locality_alloc(loc, sizeof(float) * codec->dims);
		loc->sums = locality_alloc(loc, sizeof(double) * codec->dims * MAX_CLUSTERS);
	}
	loc->counts = locality_alloc(loc, sizeof(uint32) * (MAX_CLUSTERS + 1));
	loc->factor_pointers = locality_alloc(loc, sizeof(void *) * MAX_CLUSTERS);
	loc->code_pointers = locality_alloc(loc, sizeof(void *) * MAX_CLUSTERS);
}

static void
locality_end(Locality *loc)
{
	locality_release(loc, loc->query);
	locality_release(loc, loc->keys);
	if (loc->records->codec->has_means)
	{
		locality_release(loc, loc->decoded);
		locality_release(loc, loc->sums);
	}
	locality_release(loc, loc->counts);
	locality_release(loc, loc->factor_pointers);
	locality_release(loc, loc->code_pointers);
}

/*
 * First level: order becomes the nodes sorted by cluster; routing gets the
 * centres that have any, in chain order.  first[] receives the bounds of the
 * clusters in order, and one more.
 */
static void
order_by_cluster(Locality *loc, LocalityShared *shared, uint32 *order, OmenRouting *routing,
				 uint32 *first)
{
	const OmenTeam *team = loc->team;
	uint32		n = loc->records->n;
	uint32		k = cluster_count(sqrt((double) n / OMEN_CLUSTER_NODES));
	Clustering	top;
	uint16		rank[MAX_CLUSTERS];
	uint32		n_ranked;
	uint32		i;

	clustering_alloc(loc, &top, k);
	top.n_members = n;
	top.cluster = team->share(team->arg, sizeof(uint16) * n);

	kmeans_together(loc, &top, shared);
	n_ranked = chain_centres(loc, &top, rank);
	bounds_by_rank(&top, rank, n_ranked, first);
	if (omen_team_leads(team))
		sort_by_rank(&top, rank, first, order);

	records_alloc(loc, &routing->centres, n_ranked);
	for (i = 0; i < k; i++)
	{
		if (top.sizes[i] > 0)
			omen_records_copy(&routing->centres, rank[i], &top.centres, i);
	}
	team->unshare(team->arg, top.cluster);	/* and order is there */
	clustering_release(loc, &top);
}

/*
 * Second level: order each cluster.  The samples of cluster i are written from
 * samples[i * MAX_CLUSTERS] on.
 */
static void
order_within_clusters(Locality *loc, LocalityShared *shared, uint32 *order, uint32 n_centres,
					  const uint32 *first, uint32 *samples)
{
	Clustering	sub;
	uint32	   *scratch;
	uint32		largest = 0;
	uint32		i;
	uint32		next;

	for (i = 0; i < n_centres; i++)
		largest = Max(largest, first[i + 1] - first[i]);
	clustering_alloc(loc, &sub, MAX_CLUSTERS);
	sub.cluster = locality_alloc(loc, sizeof(uint16) * largest);
	sub.nearest = locality_alloc(loc, sizeof(uint64) * MAX_CLUSTERS);
	scratch = locality_alloc(loc, sizeof(uint32) * largest);
	while (omen_team_claim(&shared->cluster_claim, 1, n_centres, &i, &next))
	{
		shared->n_samples[i] = order_cluster(loc, &sub, order + first[i], first[next] - first[i],
											 first[i], samples + (size_t) i * MAX_CLUSTERS,
											 scratch);
		loc->n_done = first[next];
	}
	locality_release(loc, scratch);
	locality_release(loc, sub.cluster);
	locality_release(loc, sub.nearest);
	clustering_release(loc, &sub);
	locality_barrier(loc);
}

/* Every member's own copy of the samples. */
static void
copy_samples(Locality *loc, const LocalityShared *shared, const uint32 *samples,
			 OmenRouting *routing)
{
	uint32		n_centres = routing->centres.n;
	uint32		total = 0;
	uint32		i;

	routing->first_sample = locality_alloc(loc, sizeof(uint32) * (n_centres + 1));
	for (i = 0; i < n_centres; i++)
	{
		routing->first_sample[i] = total;
		total += shared->n_samples[i];
	}
	routing->first_sample[n_centres] = total;
	routing->n_samples = total;
	routing->sample_nodes = locality_alloc(loc, sizeof(uint32) * total);
	for (i = 0; i < n_centres; i++)
		memcpy(routing->sample_nodes + routing->first_sample[i],
			   samples + (size_t) i * MAX_CLUSTERS, sizeof(uint32) * shared->n_samples[i]);
}

static void
order_all(Locality *loc, uint32 *order, OmenRouting *routing)
{
	const OmenTeam *team = loc->team;
	LocalityShared *shared = team->share(team->arg, sizeof(LocalityShared));
	uint32		first[MAX_CLUSTERS + 1];
	uint32	   *samples;

	order_by_cluster(loc, shared, order, routing, first);
	samples = team->share(team->arg, sizeof(uint32) * routing->centres.n * MAX_CLUSTERS);
	order_within_clusters(loc, shared, order, routing->centres.n, first, samples);
	copy_samples(loc, shared, samples, routing);
	team->unshare(team->arg, samples);
	team->unshare(team->arg, shared);
}

void
omen_locality_order(const OmenTeam *team, const OmenRecords *records,
					uint32 *order, OmenRouting *routing)
{
	Locality	loc;

	memset(routing, 0, sizeof(*routing));
	routing->centres.codec = records->codec;
	locality_begin(&loc, team, records);
	if (records->n > 0)
		order_all(&loc, order, routing);
	else
	{
		routing->first_sample = locality_alloc(&loc, sizeof(uint32));
		routing->first_sample[0] = 0;
	}
	locality_end(&loc);
	omen_terms_build(team, records, order, &routing->terms);
}

void
omen_routing_release(const OmenTeam *team, OmenRouting *routing)
{
	const OmenHost *host = &team->host;

	if (routing->centres.n > 0)
	{
		host->release(host->arg, routing->centres.factors);
		host->release(host->arg, routing->centres.codes);
		host->release(host->arg, routing->sample_nodes);
	}
	host->release(host->arg, routing->first_sample);
	if (routing->terms.n_records > 0)
		team->unshare(team->arg, routing->terms.nodes);
}

/* ---------- permutation ---------- */

/*
 * Follow each cycle of the permutation once, with one element in hand: of
 * elements that are stride bytes apart, the first n_bytes.
 */
static void
permute_slice(const OmenHost *host, char *base, size_t stride, size_t n_bytes,
			  const uint32 *order, uint32 n)
{
	char	   *hand = host->alloc(host->arg, n_bytes);
	uint8	   *done = host->alloc(host->arg, n / 8 + 1);
	uint32		i;

	memset(done, 0, n / 8 + 1);
	for (i = 0; i < n; i++)
	{
		uint32		to = i;

		if (done[i / 8] & (1 << (i % 8)))
			continue;
		memcpy(hand, base + i * stride, n_bytes);
		while (order[to] != i)
		{
			uint32		from = order[to];

			__builtin_prefetch(base + order[from] * stride);
			memcpy(base + to * stride, base + from * stride, n_bytes);
			done[to / 8] |= 1 << (to % 8);
			to = from;
		}
		memcpy(base + to * stride, hand, n_bytes);
		done[to / 8] |= 1 << (to % 8);
		if (i % 4096 == 0)
			host->tick(host->arg, i);
	}
	host->release(host->arg, hand);
	host->release(host->arg, done);
}

/*
 * A permutation may be one long cycle, which no two can follow together: each
 * member moves a part of every element instead.
 */
void
omen_permute(const OmenTeam *team, void *elements, size_t element_bytes,
			 const uint32 *order, uint32 n)
{
	uint32		n_lines = (uint32) ((element_bytes + OMEN_CACHE_LINE - 1) / OMEN_CACHE_LINE);
	uint32		from;
	uint32		to;

	omen_team_part(team, n_lines, &from, &to);
	if (from < to)
	{
		size_t		from_byte = (size_t) from * OMEN_CACHE_LINE;
		size_t		to_byte = Min((size_t) to * OMEN_CACHE_LINE, element_bytes);

		permute_slice(&team->host, (char *) elements + from_byte, element_bytes,
					  to_byte - from_byte, order, n);
	}
	team->barrier(team->arg);
}
