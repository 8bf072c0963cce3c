/*-------------------------------------------------------------------------
 *
 * graph_renumber.c
 *	  Other numbers for the nodes of a finished graph.
 *
 * Whoever wants another order than that of locality gives it to the graph when
 * it is done, so that links, samples and what was measured are those of the
 * graph in locality order: who links to whom does not depend on it.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

static inline void
renumber(uint32 *node, const uint32 *numbers)
{
	if (*node != OMEN_NO_NODE)
		*node = numbers[*node];
}

/* In this member's part of the lists, in the samples of its own routing table, and, for the leader, in the terms. */
static void
renumber_all(const OmenTeam *team, const uint32 *numbers, uint32 n, uint32 n_links, uint32 *links,
			 OmenRouting *routing)
{
	const OmenHost *host = &team->host;
	uint32		from;
	uint32		to;
	size_t		i;

	omen_team_part(team, n, &from, &to);
	for (; from < to; from++)
	{
		for (i = 0; i < n_links; i++)
			renumber(links + (size_t) from * n_links + i, numbers);
		if (from % 4096 == 0)
			host->tick(host->arg, from);
	}
	for (i = 0; i < routing->n_samples; i++)
		renumber(&routing->sample_nodes[i], numbers);
	if (omen_team_leads(team))
	{
		for (i = 0; i < (size_t) routing->terms.n_records * OMEN_TERM_NODES; i++)
			renumber(&routing->terms.nodes[i], numbers);
	}
}

void
omen_graph_renumber(const OmenTeam *team, const uint32 *order, uint32 n, uint32 m, uint32 *links,
					OmenRouting *routing)
{
	uint32	   *numbers = team->share(team->arg, (size_t) n * sizeof(uint32));
	uint32		from;
	uint32		to;

	omen_team_part(team, n, &from, &to);
	for (; from < to; from++)
		numbers[order[from]] = from;
	team->barrier(team->arg);
	renumber_all(team, numbers, n, 2 * m, links, routing);
	team->unshare(team->arg, numbers);
	omen_permute(team, links, (size_t) 2 * m * sizeof(uint32), order, n);
}
