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

/*
 * To choose takes 3 microseconds, as long as 60 distances, and each scan asks
 * for each segment: a backend remembers.  All that the choice depends on is
 * compared, so nothing needs to be told of changes.
 */
typedef struct BeamChoice
{
	bool		valid;
	int			ef_search;
	double		recall_target;
	OmenRecallCurve curve;
	uint32		ef[OMEN_CURVE_CLASSES];
	double		recall;
} BeamChoice;

#define N_CHOICES 64			/* by stamp */

static BeamChoice choices[N_CHOICES];

void
omen_am_segment_curve(const OmenSegment *segment, OmenRecallCurve *curve)
{
	memcpy(curve, &segment->curve, sizeof(*curve));
}

/* What is chosen by a curve that may be unknown. */
static void
choose_beams(BeamChoice *choice)
{
	const OmenRecallCurve *curve = &choice->curve;
	bool		known = omen_curve_is_known(curve);

	if (choice->ef_search == 0 && known)
	{
		choice->recall = omen_curve_choose(curve, choice->recall_target, choice->ef);
		return;
	}
	choice->recall = known ? 0 : get_float8_nan();
	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
	{
		choice->ef[class] = omen_am_base_ef();
		if (known)
			choice->recall += omen_curve_recall(curve, class, choice->ef[class]) / OMEN_CURVE_CLASSES;
	}
}

double
omen_am_segment_beams(const OmenSegment *segment, uint32 ef[OMEN_CURVE_CLASSES])
{
	BeamChoice *choice = &choices[segment->stamp % N_CHOICES];

	if (!choice->valid || choice->ef_search != omen_am_ef_search ||
		choice->recall_target != omen_am_recall_target ||
		memcmp(&choice->curve, &segment->curve, sizeof(choice->curve)) != 0)
	{
		choice->ef_search = omen_am_ef_search;
		choice->recall_target = omen_am_recall_target;
		omen_am_segment_curve(segment, &choice->curve);
		choose_beams(choice);
		choice->valid = true;
	}
	memcpy(ef, choice->ef, sizeof(choice->ef));
	return choice->recall;
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
