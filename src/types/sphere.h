/*-------------------------------------------------------------------------
 *
 * sphere.h
 *	  The types sphere_*: a centre and a radius.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SPHERE_H
#define OMEN_SPHERE_H

#include "postgres.h"

/*
 * Centre and radius of a sphere, any of the sphere types; false if either is
 * NULL.  The centre may point into the sphere.
 */
extern bool omen_sphere_read(Datum sphere, Datum *center, double *radius);

#endif							/* OMEN_SPHERE_H */
