/*-------------------------------------------------------------------------
 *
 * graph_params.h
 *	  How many links the nodes of a graph need: a trial.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_PARAMS_H
#define OMEN_GRAPH_PARAMS_H

#include "src/graph/graph_build.h"

/* What does for most data. */
#define OMEN_DEFAULT_M 16
#define OMEN_DEFAULT_EF_CONSTRUCTION 64

/*
 * Choose for records, in any order, but folded; not collective.  The same
 * records give the same.  trial_ef, if not NULL, becomes what the choice rests
 * on: how wide a beam the trial needs, or 0 if there was none.
 */
extern OmenGraphParams omen_graph_choose_params(const OmenHost *host, const OmenRecords *records,
												uint32 *trial_ef);

#endif							/* OMEN_GRAPH_PARAMS_H */
