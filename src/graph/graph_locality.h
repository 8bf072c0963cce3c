/*-------------------------------------------------------------------------
 *
 * graph_locality.h
 *	  How nodes are clustered; private to the graph folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_LOCALITY_H
#define OMEN_GRAPH_LOCALITY_H

#include "src/graph/graph_build.h"

/* Nodes per sub-cluster, thus per sample of the routing table. */
#define OMEN_CLUSTER_NODES 192

/* The codec that clusters are made with: it reads the records of the given one. */
extern void omen_locality_codec(OmenCodec *distance, const OmenCodec *codec);

#endif							/* OMEN_GRAPH_LOCALITY_H */
