/*-------------------------------------------------------------------------
 *
 * thread_team.h
 *	  A team (graph_team.h) of threads, for tests and benchmarks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef THREAD_TEAM_H
#define THREAD_TEAM_H

#include <pthread.h>
#include <stdlib.h>

#include "src/graph/graph_team.h"

#define THREAD_TEAM_MAX 16

typedef struct ThreadTeam ThreadTeam;

typedef struct ThreadMember
{
	OmenTeam	team;
	ThreadTeam *all;
	pthread_t	thread;
} ThreadMember;

struct ThreadTeam
{
	const OmenHost *host;		/* alloc and release of shared memory: member 0 only */
	int			n;
	pthread_barrier_t barrier;
	void	   *shared;			/* what is just being shared */
	void		(*work) (const OmenTeam *team, void *arg);
	void	   *arg;
	ThreadMember members[THREAD_TEAM_MAX];
};

static void
thread_team_barrier(void *arg)
{
	ThreadMember *member = arg;

	pthread_barrier_wait(&member->all->barrier);
}

static void *
thread_team_share(void *arg, size_t bytes)
{
	ThreadMember *member = arg;
	ThreadTeam *all = member->all;
	void	   *memory;

	if (omen_team_leads(&member->team))
		all->shared = memset(all->host->alloc(all->host->arg, bytes), 0, bytes);
	thread_team_barrier(arg);
	memory = all->shared;
	thread_team_barrier(arg);
	return memory;
}

static void
thread_team_unshare(void *arg, void *memory)
{
	ThreadMember *member = arg;

	thread_team_barrier(arg);
	if (omen_team_leads(&member->team))
		member->all->host->release(member->all->host->arg, memory);
}

static void *
thread_team_main(void *arg)
{
	ThreadMember *member = arg;

	member->all->work(&member->team, member->all->arg);
	return NULL;
}

/*
 * Run work in n threads, the first of which is the caller's.  hosts: of each
 * member, all distinct or safe to be used by several threads at once.
 */
static void
thread_team_run(const OmenHost *hosts, int n, void (*work) (const OmenTeam *, void *), void *arg)
{
	ThreadTeam	all = {.host = &hosts[0],.n = n,.work = work,.arg = arg};
	int			i;

	pthread_barrier_init(&all.barrier, NULL, n);
	for (i = 0; i < n; i++)
	{
		ThreadMember *member = &all.members[i];

		member->all = &all;
		member->team.host = hosts[i];
		member->team.n_members = n;
		member->team.member = i;
		member->team.arg = member;
		member->team.barrier = thread_team_barrier;
		member->team.share = thread_team_share;
		member->team.unshare = thread_team_unshare;
	}
	for (i = 1; i < n; i++)
	{
		if (pthread_create(&all.members[i].thread, NULL, thread_team_main, &all.members[i]) != 0)
			abort();
	}
	thread_team_main(&all.members[0]);
	for (i = 1; i < n; i++)
		pthread_join(all.members[i].thread, NULL);
	pthread_barrier_destroy(&all.barrier);
}

#endif							/* THREAD_TEAM_H */
