/*-------------------------------------------------------------------------
 *
 * graph_team.h
 *	  Several processes or threads that build one graph together.
 *
 * All members of a team run the same functions with the same arguments over
 * arrays that all of them see, each at its own address.  Within a phase every
 * member writes only the range it has claimed; a barrier ends the phase.  What
 * comes out depends neither on how many members there are nor on who claimed
 * what.
 *
 * "Collective" functions must be called by all members, in the same order.
 * barrier may throw (in a backend: interrupts, a worker's error).
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_TEAM_H
#define OMEN_GRAPH_TEAM_H

#include "src/graph/graph_memory.h"

typedef struct OmenTeam
{
	OmenHost	host;			/* this member's own memory and heartbeat */
	int			n_members;
	int			member;			/* 0 .. n_members - 1; 0 leads */
	void	   *arg;			/* of the functions below */

	/* Collective: returns when all members have come. */
	void		(*barrier) (void *arg);

	/*
	 * Collective, with a barrier inside: zeroed, 64-byte aligned memory that
	 * all members see; and the end of it, which also waits for all to come.
	 */
	void	   *(*share) (void *arg, size_t bytes);
	void		(*unshare) (void *arg, void *memory);
} OmenTeam;

/* Make a team of one: host's memory is shared memory.  team must stay where it is. */
extern void omen_team_alone(OmenTeam *team, const OmenHost *host);

static inline bool
omen_team_leads(const OmenTeam *team)
{
	return team->member == 0;
}

/* This member's share of 0 .. n, for work that is divided evenly. */
static inline void
omen_team_part(const OmenTeam *team, uint32 n, uint32 *from, uint32 *to)
{
	*from = (uint32) ((uint64) n * team->member / team->n_members);
	*to = (uint32) ((uint64) n * (team->member + 1) / team->n_members);
}

/*
 * Take the next piece of at most piece elements of 0 .. n, off a counter in
 * shared memory that was 0 when the phase began.  False if nothing is left.
 */
static inline bool
omen_team_claim(uint32 *counter, uint32 piece, uint32 n, uint32 *from, uint32 *to)
{
	*from = __atomic_fetch_add(counter, piece, __ATOMIC_RELAXED);
	if (*from >= n)
		return false;
	*to = n - *from < piece ? n : *from + piece;
	return true;
}

#endif							/* OMEN_GRAPH_TEAM_H */
