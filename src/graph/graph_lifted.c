/*-------------------------------------------------------------------------
 *
 * graph_lifted.c
 *	  Records as links compare them.
 *
 * Links are to lead from anywhere to what is near.  By inner products the
 * longest vectors are near everything and short ones near nothing, so links
 * are chosen by another key.  (Not those of sparse vectors: their searches
 * start from terms, and find more by the links of inner products.)  It needs the
 * largest norm: each member of a team looks for it on its own, for that takes
 * milliseconds.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_lifted.h"

void
omen_linked_records(LinkedRecords *linked, const OmenRecords *records)
{
	const OmenCodec *codec = records->codec;

	linked->records = *records;
	if (codec->metric != OMEN_METRIC_IP || codec->norms_sq == NULL)
		return;
	omen_lifted_init(&linked->lifted, codec,
					 omen_lifted_norm_sq(codec, records->factors, records->n));
	linked->records.codec = &linked->lifted.codec;
}
