/*-------------------------------------------------------------------------
 *
 * am_bitmap.h
 *	  Searches among the rows that other indexes have found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_BITMAP_H
#define OMEN_AM_BITMAP_H

extern void omen_bitmap_init(void);

#endif							/* OMEN_AM_BITMAP_H */
