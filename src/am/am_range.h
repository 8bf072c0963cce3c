/*-------------------------------------------------------------------------
 *
 * am_range.h
 *	  Searches that end at a distance.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_RANGE_H
#define OMEN_AM_RANGE_H

#include "src/quant/quant.h"

#include "access/relscan.h"

/* What the keys of a scan say of the distances wanted. */
typedef struct OmenRange
{
	bool		limited;		/* no row beyond the radius is wanted */
	bool		empty;			/* no row at all is */
	bool		recheck;		/* only the executor knows whether a row is wanted */
	double		radius;			/* INFINITY unless limited */
} OmenRange;

extern void omen_range_init(void);
extern OmenRange omen_range_read(IndexScanDesc scan);
extern bool omen_range_center(IndexScanDesc scan, Datum *center);
extern double omen_range_distance(float key, OmenMetric metric);
extern float omen_range_key(const OmenRange *range, double slack, OmenMetric metric);

#endif							/* OMEN_AM_RANGE_H */
