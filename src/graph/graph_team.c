/*-------------------------------------------------------------------------
 *
 * graph_team.c
 *	  A team of one.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_team.h"

#include <string.h>

static void
alone_barrier(void *arg)
{
	(void) arg;
}

static void *
alone_share(void *arg, size_t bytes)
{
	OmenTeam   *team = arg;

	return memset(team->host.alloc(team->host.arg, bytes), 0, bytes);
}

static void
alone_unshare(void *arg, void *memory)
{
	OmenTeam   *team = arg;

	team->host.release(team->host.arg, memory);
}

void
omen_team_alone(OmenTeam *team, const OmenHost *host)
{
	team->host = *host;
	team->n_members = 1;
	team->member = 0;
	team->arg = team;
	team->barrier = alone_barrier;
	team->share = alone_share;
	team->unshare = alone_unshare;
}
