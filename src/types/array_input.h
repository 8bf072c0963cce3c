/*-------------------------------------------------------------------------
 *
 * array_input.h
 *	  Arrays of numbers as input of the vector types.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ARRAY_INPUT_H
#define OMEN_ARRAY_INPUT_H

#include "src/types/shape.h"
#include "utils/array.h"

/*
 * Number of elements of an array, after checking that it is one list without
 * nulls.
 */
extern int	omen_array_length(ArrayType *array);

/*
 * Read all elements, of type integer, real, double precision or numeric, as
 * floats into out.  Values beyond float become infinite, except that numeric
 * raises its own error; the caller checks.
 */
extern void omen_array_read(ArrayType *array, float *out);

#endif							/* OMEN_ARRAY_INPUT_H */
