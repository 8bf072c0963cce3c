/*-------------------------------------------------------------------------
 *
 * am_calibration.c
 *	  How wide to search a segment: by setting, or by what was measured.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_api.h"

#include "utils/float.h"

StaticAssertDecl(sizeof(OmenRecallCurve) == sizeof(OmenSegmentCurve), "the curve is stored as it is");

void
omen_am_segment_curve(const OmenSegment *segment, OmenRecallCurve *curve)
{
	memcpy(curve, &segment->curve, sizeof(*curve));
}

double
omen_am_segment_beams(const OmenSegment *segment, uint32 ef[OMEN_CURVE_CLASSES])
{
	double		recall = 0;
	OmenRecallCurve curve;

	omen_am_segment_curve(segment, &curve);
	if (omen_am_ef_search == 0 && omen_curve_is_known(&curve))
		return omen_curve_choose(&curve, omen_am_recall_target, ef);

	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
	{
		ef[class] = omen_am_base_ef();
		recall += omen_curve_recall(&curve, class, ef[class]) / OMEN_CURVE_CLASSES;
	}
	return omen_curve_is_known(&curve) ? recall : get_float8_nan();
}

uint32
omen_am_segment_ef(const OmenSegment *segment)
{
	uint32		ef[OMEN_CURVE_CLASSES];
	uint32		sum = 0;

	(void) omen_am_segment_beams(segment, ef);
	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
		sum += ef[class];
	return sum / OMEN_CURVE_CLASSES;
}
