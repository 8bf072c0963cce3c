/*-------------------------------------------------------------------------
 *
 * test_check.h
 *	  Checks with a number that tells what was found, counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H

#include "c.h"

#include <stdio.h>

/* The server's own printf is not linked into these programs. */
#undef printf

static long n_passed = 0;
static long n_failed = 0;

static inline void
check(bool ok, const char *what, double found)
{
	if (ok)
	{
		n_passed++;
		return;
	}
	n_failed++;
	printf("FAILED: %s (%g)\n", what, found);
}

/* The program's last line and its exit code. */
static inline int
report_checks(const char *program)
{
	printf("%s: %ld passed, %ld failed\n", program, n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}

#endif							/* TEST_CHECK_H */
