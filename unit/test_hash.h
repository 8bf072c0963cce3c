/*-------------------------------------------------------------------------
 *
 * test_hash.h
 *	  Hashes by which graphs and codes are told apart (FNV-1a).
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_HASH_H
#define TEST_HASH_H

#include "c.h"

#define HASH_START UINT64CONST(14695981039346656037)
#define HASH_PRIME UINT64CONST(1099511628211)

static inline uint64
hash_words(const uint32 *words, size_t n)
{
	uint64		hash = HASH_START;
	size_t		i;

	for (i = 0; i < n; i++)
		hash = (hash ^ words[i]) * HASH_PRIME;
	return hash;
}

/* What comes after something that has a hash. */
static inline uint64
hash_bytes_after(uint64 hash, const void *bytes, size_t n)
{
	const uint8 *p = bytes;
	size_t		i;

	for (i = 0; i < n; i++)
		hash = (hash ^ p[i]) * HASH_PRIME;
	return hash;
}

#endif							/* TEST_HASH_H */
