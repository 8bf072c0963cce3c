/*-------------------------------------------------------------------------
 *
 * graph_lifted.h
 *	  Records as links compare them; private to the graph folder.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_LIFTED_H
#define OMEN_GRAPH_LIFTED_H

#include "src/graph/graph_build.h"
#include "src/quant/lifted.h"

/* It must stay where it is: records points into it. */
typedef struct LinkedRecords
{
	OmenRecords records;
	OmenLiftedCodec lifted;
} LinkedRecords;

/* The same records; with a codec for inner products that has norms, under src/quant/lifted.h. */
extern void omen_linked_records(LinkedRecords *linked, const OmenRecords *records);

#endif							/* OMEN_GRAPH_LIFTED_H */
