/*-------------------------------------------------------------------------
 *
 * graph_locality.c
 *	  Number the nodes so that near vectors have near numbers.
 *
 * The neighbours of a node then lie on few pages (and in few cache lines),
 * which is most of what a search costs.  Two levels of k-means on codes: about
 * sqrt(n / CLUSTER_NODES) clusters, each cut into sub-clusters of about
 * CLUSTER_NODES.  Clusters are numbered along a chain that goes from one
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
#include "src/graph/graph_terms.h"

/* Nodes per sub-cluster, thus per sample of the routing table. */
#define CLUSTER_NODES 192

/* At most so many clusters, and sub-clusters of each. */
#define MAX_CLUSTERS 256

/* Members looked at per cluster while centres move, and how often they move. */
#define KMEANS_SAMPLE 64
#define KMEANS_ROUNDS 3

/* tick() after comparing about so many bytes of codes */
#define TICK_BYTES (8 * 1024 * 1024)

/* A set of nodes and its clusters. */
typedef struct Clustering
{
	const uint32 *members;
	uint32		n_members;
	uint32		n_clusters;
	OmenRecords centres;
	uint16	   *cluster;		/* of each member */
	uint64	   *nearest;		/* of each cluster: packed key and node */
} Clustering;

/* What all of this file works with. */
typedef struct Locality
{
	const OmenHost *host;
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

static void *
locality_alloc(Locality *loc, size_t bytes)
{
	return loc->host->alloc(loc->host->arg, bytes);
}

static void
locality_release(Locality *loc, void *pointer)
{
	loc->host->release(loc->host->arg, pointer);
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
		loc->host->tick(loc->host->arg, loc->n_done);
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

static void
records_copy(OmenRecords *to, uint32 to_index, const OmenRecords *from, uint32 from_index)
{
	memcpy(to->factors + (size_t) to_index * to->codec->factor_bytes,
		   omen_records_factors(from, from_index), to->codec->factor_bytes);
	memcpy(to->codes + (size_t) to_index * to->codec->code_bytes,
		   omen_records_code(from, from_index), to->codec->code_bytes);
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

/*
 * Member i * n / k is the i-th first centre.  In whatever order the table is,
 * that spreads them.
 */
static void
kmeans_start(Clustering *c, const OmenRecords *records)
{
	uint32		i;

	for (i = 0; i < c->n_clusters; i++)
	{
		uint32		member = (uint32) ((uint64) i * c->n_members / c->n_clusters);

		records_copy(&c->centres, i, records, c->members[member]);
	}
}

/* Move each centre to the mean of those sampled members that are nearest to it. */
static void
kmeans_move(Locality *loc, Clustering *c)
{
	const OmenCodec *codec = loc->records->codec;
	uint32		dims = codec->dims;
	uint32		n_sample = Min(c->n_members, c->n_clusters * KMEANS_SAMPLE);
	uint32		i;
	uint32		j;

	memset(loc->sums, 0, sizeof(double) * dims * c->n_clusters);
	memset(loc->counts, 0, sizeof(uint32) * c->n_clusters);
	for (i = 0; i < n_sample; i++)
	{
		uint32		node = c->members[(uint64) i * c->n_members / n_sample];
		uint32		at = omen_packed_node(centres_nearest(loc, &c->centres, loc->records, node));
		double	   *sum = loc->sums + (size_t) at * dims;

		codec->decode(codec, omen_records_factors(loc->records, node),
					  omen_records_code(loc->records, node), loc->decoded);
		for (j = 0; j < dims; j++)
			sum[j] += loc->decoded[j];
		loc->counts[at]++;
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

/* Assign every member, and find the one nearest to each centre. */
static void
kmeans_assign(Locality *loc, Clustering *c)
{
	uint32		i;

	for (i = 0; i < c->n_clusters; i++)
		c->nearest[i] = OMEN_PACKED_NONE;
	for (i = 0; i < c->n_members; i++)
	{
		uint64		word = centres_nearest(loc, &c->centres, loc->records, c->members[i]);
		uint32		at = omen_packed_node(word);

		c->cluster[i] = (uint16) at;
		word = omen_packed_make(omen_packed_key(word), c->members[i]);
		c->nearest[at] = Min(c->nearest[at], word);
	}
}

/* Cluster c->members into c->n_clusters, some of which may be empty. */
static void
kmeans(Locality *loc, Clustering *c)
{
	int			round;

	centres_point(loc, &c->centres);
	kmeans_start(c, loc->records);
	if (c->n_clusters > 1 && loc->records->codec->has_means)
	{
		for (round = 0; round < KMEANS_ROUNDS; round++)
			kmeans_move(loc, c);
	}
	kmeans_assign(loc, c);
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

	while (c->nearest[current] == OMEN_PACKED_NONE)
		current++;
	centres_nearest(loc, &c->centres, &c->centres, current);	/* fills in keys */
	for (i = 0; i < c->n_clusters; i++)
	{
		rank[i] = unranked;
		if (c->nearest[i] != OMEN_PACKED_NONE && loc->keys[i] > distance)
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
			if (rank[i] == unranked && c->nearest[i] != OMEN_PACKED_NONE &&
				(next == c->n_clusters || loc->keys[i] < loc->keys[next]))
				next = i;
		}
		if (next == c->n_clusters)
			return n_ranked;
		current = next;
	}
}

/*
 * Put the members in the order of their clusters' ranks (within a cluster,
 * they keep theirs) into sorted; first[rank] is where a cluster begins.
 */
static void
sort_by_rank(const Clustering *c, const uint16 *rank, uint32 n_ranked, uint32 *first,
			 uint32 *sorted)
{
	uint32		total = 0;
	uint32		i;

	memset(first, 0, sizeof(uint32) * (n_ranked + 1));
	for (i = 0; i < c->n_members; i++)
		first[rank[c->cluster[i]]]++;
	for (i = 0; i <= n_ranked; i++)
	{
		uint32		size = first[i];

		first[i] = total;
		total += size;
	}
	for (i = 0; i < c->n_members; i++)
		sorted[first[rank[c->cluster[i]]]++] = c->members[i];
	/* each has moved on to where the next one begins: move back */
	for (i = n_ranked; i > 0; i--)
		first[i] = first[i - 1];
	first[0] = 0;
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
	sub->n_clusters = sub->centres.n = cluster_count((double) n / CLUSTER_NODES);
	kmeans(loc, sub);
	n_ranked = chain_centres(loc, sub, rank);
	sort_by_rank(sub, rank, n_ranked, loc->counts, scratch);
	memcpy(members, scratch, sizeof(uint32) * n);

	for (cluster = 0; cluster < sub->n_clusters; cluster++)
	{
		uint32		sample;

		if (sub->nearest[cluster] == OMEN_PACKED_NONE)
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

static void
clustering_alloc(Locality *loc, Clustering *c, uint32 max_clusters, uint32 max_members)
{
	c->n_clusters = max_clusters;
	records_alloc(loc, &c->centres, max_clusters);
	c->cluster = locality_alloc(loc, sizeof(uint16) * max_members);
	c->nearest = locality_alloc(loc, sizeof(uint64) * max_clusters);
}

static void
clustering_release(Locality *loc, Clustering *c)
{
	locality_release(loc, c->centres.factors);
	locality_release(loc, c->centres.codes);
	locality_release(loc, c->cluster);
	locality_release(loc, c->nearest);
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

static void
locality_begin(Locality *loc, const OmenHost *host, const OmenRecords *records)
{
	const OmenCodec *codec = records->codec;

	memset(loc, 0, sizeof(*loc));
	loc->host = host;
	loc->records = records;
	omen_codec_init(&loc->distance, codec->kind, cluster_metric(codec->metric), codec->dims);
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
 * centres that have any, in chain order, and in first_sample, for now, the
 * clusters' bounds.  Returns the largest cluster's size.
 */
static uint32
order_by_cluster(Locality *loc, uint32 *order, OmenRouting *routing)
{
	uint32		n = loc->records->n;
	uint32		k = cluster_count(sqrt((double) n / CLUSTER_NODES));
	Clustering	top;
	uint32	   *members;
	uint16		rank[MAX_CLUSTERS];
	uint32		n_ranked;
	uint32		largest = 0;
	uint32		i;

	clustering_alloc(loc, &top, k, n);
	members = locality_alloc(loc, sizeof(uint32) * n);
	for (i = 0; i < n; i++)
		members[i] = i;
	top.members = members;
	top.n_members = n;

	kmeans(loc, &top);
	n_ranked = chain_centres(loc, &top, rank);
	routing->first_sample = locality_alloc(loc, sizeof(uint32) * (n_ranked + 1));
	sort_by_rank(&top, rank, n_ranked, routing->first_sample, order);

	records_alloc(loc, &routing->centres, n_ranked);
	for (i = 0; i < k; i++)
	{
		if (top.nearest[i] != OMEN_PACKED_NONE)
			records_copy(&routing->centres, rank[i], &top.centres, i);
	}
	for (i = 0; i < n_ranked; i++)
		largest = Max(largest, routing->first_sample[i + 1] - routing->first_sample[i]);

	locality_release(loc, members);
	clustering_release(loc, &top);
	return largest;
}

/* Second level: order each cluster, and fill in the samples. */
static void
order_within_clusters(Locality *loc, uint32 *order, OmenRouting *routing, uint32 largest)
{
	uint32		n_centres = routing->centres.n;
	Clustering	sub;
	uint32	   *scratch = locality_alloc(loc, sizeof(uint32) * largest);
	uint32		i;

	/* before the samples of cluster i are known, first_sample[i] is its start */
	clustering_alloc(loc, &sub, MAX_CLUSTERS, largest);
	routing->sample_nodes = locality_alloc(loc, sizeof(uint32) * n_centres * MAX_CLUSTERS);
	routing->n_samples = 0;
	for (i = 0; i < n_centres; i++)
	{
		uint32		from = routing->first_sample[i];
		uint32		to = routing->first_sample[i + 1];

		routing->first_sample[i] = routing->n_samples;
		routing->n_samples += order_cluster(loc, &sub, order + from, to - from, from,
											routing->sample_nodes + routing->n_samples,
											scratch);
		loc->n_done = to;
	}
	routing->first_sample[n_centres] = routing->n_samples;

	locality_release(loc, scratch);
	clustering_release(loc, &sub);
}

void
omen_locality_order(const OmenHost *host, const OmenRecords *records,
					uint32 *order, OmenRouting *routing)
{
	Locality	loc;

	locality_begin(&loc, host, records);
	if (records->n > 0)
	{
		uint32		largest = order_by_cluster(&loc, order, routing);

		order_within_clusters(&loc, order, routing, largest);
	}
	else
	{
		memset(routing, 0, sizeof(*routing));
		routing->centres.codec = records->codec;
		routing->first_sample = locality_alloc(&loc, sizeof(uint32));
		routing->first_sample[0] = 0;
	}
	locality_end(&loc);
	omen_terms_build(host, records, order, &routing->terms);
}

/* Follow each cycle of the permutation once, with one element in hand. */
void
omen_permute(const OmenHost *host, void *elements, size_t element_bytes,
			 const uint32 *order, uint32 n)
{
	char	   *base = elements;
	char	   *hand = host->alloc(host->arg, element_bytes);
	uint8	   *done = host->alloc(host->arg, n / 8 + 1);
	uint32		i;

	memset(done, 0, n / 8 + 1);
	for (i = 0; i < n; i++)
	{
		uint32		to = i;

		if (done[i / 8] & (1 << (i % 8)))
			continue;
		memcpy(hand, base + i * element_bytes, element_bytes);
		while (order[to] != i)
		{
			memcpy(base + to * element_bytes, base + order[to] * element_bytes, element_bytes);
			done[to / 8] |= 1 << (to % 8);
			to = order[to];
		}
		memcpy(base + to * element_bytes, hand, element_bytes);
		done[to / 8] |= 1 << (to % 8);
		if (i % 4096 == 0)
			host->tick(host->arg, i);
	}
	host->release(host->arg, hand);
	host->release(host->arg, done);
}
