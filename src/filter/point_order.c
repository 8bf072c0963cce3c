/*-------------------------------------------------------------------------
 *
 * point_order.c
 *	  An order of points, which PostgreSQL lacks: by x, then by y.
 *
 * A dictionary of attribute values needs any total order; nobody asks for a
 * range of it.  Coordinates compare as float8 does, NaN last.  Points that
 * the operator ~= takes for the same, to within its tolerance, are different
 * here: it is a test of each value, not a place in the order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/float.h"
#include "utils/geo_decls.h"

PG_FUNCTION_INFO_V1(omen_filter_point_cmp);

static int
compare_coordinates(float8 a, float8 b)
{
	return float8_gt(a, b) - float8_lt(a, b);
}

/* omenhnsw_point_cmp(point, point) RETURNS integer */
Datum
omen_filter_point_cmp(PG_FUNCTION_ARGS)
{
	const Point *a = PG_GETARG_POINT_P(0);
	const Point *b = PG_GETARG_POINT_P(1);
	int			by_x = compare_coordinates(a->x, b->x);

	PG_RETURN_INT32(by_x != 0 ? by_x : compare_coordinates(a->y, b->y));
}
