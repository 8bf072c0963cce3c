/*-------------------------------------------------------------------------
 *
 * average.h
 *	  The state of avg() over dense vectors of any element type.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AVERAGE_H
#define OMEN_AVERAGE_H

#include "fmgr.h"
#include "utils/array.h"

/*
 * Check an array that claims to be a state, for users can call the functions
 * with any.  Returns the count, followed by the sums, of which there are *dims.
 */
extern float8 *omen_average_state(ArrayType *array, int *dims);

/*
 * A state that may be written, with room for dims sums: the one given, if we
 * are called by an aggregate whose state it is, else a copy.  Raises an
 * error if the state has other dimensions already.
 */
extern ArrayType *omen_average_prepare(FunctionCallInfo fcinfo, ArrayType *state, int dims);

#endif							/* OMEN_AVERAGE_H */
