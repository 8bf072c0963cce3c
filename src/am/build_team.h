/*-------------------------------------------------------------------------
 *
 * build_team.h
 *	  Backends that build one segment together: parallel workers as a team.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_BUILD_TEAM_H
#define OMEN_BUILD_TEAM_H

#include "postgres.h"

#include "src/graph/graph_team.h"

#include "access/parallel.h"
#include "lib/ilist.h"

typedef struct OmenTeamShared OmenTeamShared;

/* One member's view of its team. */
typedef struct OmenBuildTeam
{
	OmenTeam	team;			/* what the graph code sees; its arg is this struct */
	MemoryContext context;		/* of its private memory */
	ParallelContext *parallel;	/* the leader's; NULL if it has no workers */
	OmenTeamShared *shared;		/* NULL: a team of one */
	shm_toc    *toc;			/* a worker's */
	dlist_head	pieces;			/* shared memory mapped here */
	uint64		n_pieces;		/* ever mapped */
	uint64		shared_bytes;	/* mapped now */
	bool		no_memory;		/* share has failed */
	bool		left;			/* a worker whose team has been dissolved */
} OmenBuildTeam;

/* Something that all members do, in steps that end with barriers. */
typedef void (*OmenTeamStep) (OmenBuildTeam *team, void *arg);

/* Fills in what the members share, in the place where they share it. */
typedef void (*OmenJobInit) (void *job, void *arg);

extern void omen_build_team_alone(OmenBuildTeam *team);
extern void omen_build_team_start(OmenBuildTeam *team, const char *worker_main, int n_workers,
								  Size job_bytes, OmenJobInit init_job, void *arg);
extern void omen_build_team_join(OmenBuildTeam *team, shm_toc *toc);
extern void omen_build_team_leave(OmenBuildTeam *team);
extern void omen_build_team_dissolve(OmenBuildTeam *team);
extern void omen_build_team_end(OmenBuildTeam *team);
extern void *omen_build_team_job(OmenBuildTeam *team);
extern bool omen_build_team_try(OmenBuildTeam *team, OmenTeamStep step, void *arg);

#endif							/* OMEN_BUILD_TEAM_H */
