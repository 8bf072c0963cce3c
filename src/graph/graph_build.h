/*-------------------------------------------------------------------------
 *
 * graph_build.h
 *	  From an array of codes to a numbered, routed, linked graph.
 *
 * The three steps of a bulk build, each deterministic: the result depends on
 * the input arrays and the parameters alone, not on time, machine or the team
 * that does it.
 *
 *	 1. omen_locality_order: number the nodes so that near vectors have near
 *		numbers, and choose the samples of the routing table on the way.
 *	 2. the caller puts its arrays into that order (omen_permute).
 *	 3. omen_graph_link: fill in the neighbour lists.
 *
 * All of them are collective (graph_team.h), and the arrays that they are
 * given are seen by all members.  An exception are the codes of a codec of
 * variable length: they are pointers, so members with address spaces of their
 * own have each an array of them, and permute it as a team of one.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_BUILD_H
#define OMEN_GRAPH_BUILD_H

#include "src/graph/graph_calibrate.h"
#include "src/graph/graph_search.h"
#include "src/graph/graph_team.h"
#include "src/quant/sketch.h"

/*
 * Sketches of n records, made with a model that was learnt from them: what scans
 * will compare a query with, instead of codes, before they compare the nearest
 * by their codes.  They keep `oversampling` times as many candidates as they
 * would by codes.
 */
typedef struct OmenSketches
{
	const OmenSketch *sketch;
	uint32		oversampling;
	char	   *model;			/* sketch->model_bytes */
	uint8	   *records;		/* n * sketch->sketch_bytes */
} OmenSketches;

/* n records in two parallel arrays with the codec's strides. */
typedef struct OmenRecords
{
	const OmenCodec *codec;
	uint32		n;
	char	   *factors;		/* n * codec->factor_bytes */
	uint8	   *codes;			/* n * codec->code_bytes, 64-byte aligned */
	const OmenSketches *sketches;	/* NULL: scans compare codes */
} OmenRecords;

/*
 * For kinds of codes that have terms: in the record that a hash of a term names,
 * the nodes that have most of it (graph_terms.h).
 */
#define OMEN_TERM_NODES 8

typedef struct OmenTermTable
{
	uint32		n_records;		/* 0 if the codec has no terms */
	uint32	   *nodes;			/* OMEN_TERM_NODES per record; OMEN_NO_NODE fills up */
} OmenTermTable;

/*
 * Routing table, in place of HNSW's upper levels: a search compares its query
 * with all centres, then with the samples of the nearest one or two, and
 * starts from the nearest samples.  Samples of centre i are
 * sample_nodes[first_sample[i] .. first_sample[i + 1]), ascending.
 */
typedef struct OmenRouting
{
	OmenRecords centres;		/* centres.n may be 1; 0 only if the graph is empty */
	uint32	   *first_sample;	/* centres.n + 1 entries */
	uint32		n_samples;
	uint32	   *sample_nodes;	/* node numbers in the new order */
	OmenTermTable terms;
} OmenRouting;

/*
 * order[new number] = old number, n entries of the caller's.  Each member gets
 * a routing table of its own, but for the terms, which are shared.
 */
extern void omen_locality_order(const OmenTeam *team, const OmenRecords *records,
								uint32 *order, OmenRouting *routing);
extern void omen_routing_release(const OmenTeam *team, OmenRouting *routing);

/* In place: element i of the result is element order[i]; order is kept. */
extern void omen_permute(const OmenTeam *team, void *elements, size_t element_bytes,
						 const uint32 *order, uint32 n);

/*
 * Learn a model from records in locality order, whose codec decodes, and make
 * sketches of all: sketches->sketch is given, and the caller unshares model and
 * records (graph_sketch.c).
 */
extern void omen_sketches_make(const OmenTeam *team, const OmenRecords *records,
							   OmenSketches *sketches);

typedef struct OmenGraphParams
{
	uint32		m;				/* 2 .. 100 */
	uint32		ef_construction;	/* >= 2m */
} OmenGraphParams;

/*
 * Link the records (in locality order, folded: no two decode equal).
 * links: n * 2m entries, caller's; unused ones at the end of a list become
 * OMEN_NO_NODE.  The leader's curve becomes the graph's, or all zero if there are
 * too few nodes to measure it, or too many that had to be made reachable.
 */
extern void omen_graph_link(const OmenTeam *team, const OmenRecords *records,
							const OmenRouting *routing, const OmenGraphParams *params,
							uint32 *links, OmenRecallCurve *curve);

/*
 * A graph whose nodes go on, less some, and get company: what a merge does.
 * Costs little more than its part of a build.  The steps are those of a build,
 * over records that are first the nodes of the older graph that go on, in their
 * order (n_carried of them), and then the new ones.
 *
 *	 1. omen_locality_extend: each new node is numbered next to the older ones
 *		that it is near to, which keep their order; samples are added where
 *		numbers have become many.
 *	 2. the caller puts its arrays into that order.
 *	 3. omen_links_carry: the older links, in the new numbers.  After that, the
 *		older graph is needed no more.
 *	 4. omen_graph_extend: link the new nodes.
 *
 * Instead of step 1, omen_locality_order numbers all of them anew: better where
 * most have come since the older ones were numbered.
 */
typedef struct OmenOlderGraph
{
	uint32		n;				/* nodes */
	const uint64 *removed;		/* bit per node: it does not go on; NULL if all do */
	const OmenRouting *routing; /* terms are not looked at */
	const uint32 *links;		/* for omen_links_carry: 2m per node, as of omen_graph_link */
} OmenOlderGraph;

/*
 * As omen_locality_order, which it is if nothing is carried.  Centres of codes
 * of variable length are those of the older graph: they live in its memory.
 */
extern void omen_locality_extend(const OmenTeam *team, const OmenRecords *records,
								 const OmenOlderGraph *older, uint32 n_carried,
								 uint32 *order, OmenRouting *routing);

/*
 * Fill in links (2m per record); lists of new nodes become empty.  In place of
 * links to removed nodes come others, from among those nodes' neighbours.
 */
extern void omen_links_carry(const OmenTeam *team, const OmenRecords *records,
							 const OmenOlderGraph *older, const uint32 *order,
							 uint32 n_carried, uint32 m, uint32 *links);

extern void omen_graph_extend(const OmenTeam *team, const OmenRecords *records,
							  const OmenRouting *routing, const OmenGraphParams *params,
							  const uint32 *order, uint32 n_carried, uint32 *links,
							  OmenRecallCurve *curve);

/*
 * Give the n nodes of a finished graph other numbers: order as for
 * omen_permute, by which the caller orders its own arrays.  The samples of a
 * centre ascend no longer, so that omen_locality_extend cannot go on with
 * this graph's order; omen_locality_order can, and the links go on.
 */
extern void omen_graph_renumber(const OmenTeam *team, const uint32 *order, uint32 n, uint32 m,
								uint32 *links, OmenRouting *routing);

/*
 * Bytes per node that omen_graph_link allocates itself, shared memory and that
 * of all members together, for the memory budget.
 */
extern size_t omen_graph_link_bytes(const OmenCodec *codec, const OmenGraphParams *params);

/*
 * Starting points for a search over records in memory or pages: given the
 * keys of the query to all centres, which centres' samples to look at.
 */
#define OMEN_ROUTING_PROBES 2	/* centres whose samples are compared */
#define OMEN_ROUTING_SEEDS 2	/* samples that become starting points */

#endif							/* OMEN_GRAPH_BUILD_H */
