/*-------------------------------------------------------------------------
 *
 * rotation.h
 *	  A fixed rotation that spreads a vector over all components; see rotation.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ROTATION_H
#define OMEN_ROTATION_H

#include "c.h"

/* Rotate x, n >= 1 floats, in place.  The same bits on every machine. */
extern void omen_rotate(float *x, uint32 n);

#endif							/* OMEN_ROTATION_H */
