/*-------------------------------------------------------------------------
 *
 * graph_link.h
 *	  The graph while it is being linked; private to the graph folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_LINK_H
#define OMEN_GRAPH_LINK_H

#include "src/graph/graph_build.h"

/*
 * The links with what the build keeps beside them: to each link the key
 * between its two ends (a selection then needs no distance to the node
 * itself), and to each list its length and how many of its first links are
 * clean (graph_select.h).
 */
typedef struct LinkLists
{
	const OmenRecords *records;
	uint32		max_links;		/* 2m */
	uint32	   *links;			/* max_links per node, the caller's */
	float	   *keys;			/* likewise */
	uint8	   *n_links;
	uint8	   *n_clean;
} LinkLists;

/* In place of n_clean: the list's keys are not known. */
#define LINK_KEYS_UNKNOWN PG_UINT8_MAX

StaticAssertDecl(OMEN_MAX_LINKS < LINK_KEYS_UNKNOWN, "lengths of lists fit into a byte");

/*
 * Make every node reachable from the routing table's samples.  Returns how
 * many links had to give way to others for that.  Not collective: a member does it alone.
 */
extern uint32 omen_graph_reach(const OmenHost *host, LinkLists *lists,
							   const OmenRouting *routing, uint32 ef);

static inline uint32 *
link_list(const LinkLists *lists, uint32 node)
{
	return lists->links + (size_t) node * lists->max_links;
}

static inline float *
link_list_keys(const LinkLists *lists, uint32 node)
{
	return lists->keys + (size_t) node * lists->max_links;
}

/* Append a link; there must be room. */
static inline void
link_append(LinkLists *lists, uint32 node, uint32 link, float key)
{
	uint32		at = lists->n_links[node]++;

	link_list(lists, node)[at] = link;
	link_list_keys(lists, node)[at] = key;
}

#endif							/* OMEN_GRAPH_LINK_H */
