/*-------------------------------------------------------------------------
 *
 * bitvec.c
 *	  Distances between values of the core type bit.
 *
 * Bit strings keep the unused bits of their last byte zero, as the kernels
 * ask for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "src/kernels/kernels.h"
#include "utils/varbit.h"

/* A bit string in place: short headers and their misalignment are left alone. */
typedef struct BitString
{
	struct varlena *datum;
	const uint8 *bytes;
	int32		n_bits;
	uint32		n_bytes;
} BitString;

static inline BitString
get_bits(Datum datum)
{
	BitString	result;

	result.datum = PG_DETOAST_DATUM_PACKED(datum);
	memcpy(&result.n_bits, VARDATA_ANY(result.datum), sizeof(result.n_bits));
	result.bytes = (const uint8 *) VARDATA_ANY(result.datum) + sizeof(result.n_bits);
	result.n_bytes = VARSIZE_ANY_EXHDR(result.datum) - sizeof(result.n_bits);
	return result;
}

/*
 * Two bit strings of equal length.
 */
static inline void
get_pair(FunctionCallInfo fcinfo, BitString *a, BitString *b)
{
	*a = get_bits(PG_GETARG_DATUM(0));
	*b = get_bits(PG_GETARG_DATUM(1));
	if (unlikely(a->n_bits != b->n_bits))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %d and %d", a->n_bits, b->n_bits)));
}

static inline void
free_pair(FunctionCallInfo fcinfo, const BitString *a, const BitString *b)
{
	PG_FREE_IF_COPY(a->datum, 0);
	PG_FREE_IF_COPY(b->datum, 1);
}

PG_FUNCTION_INFO_V1(omen_bit_hamming_distance);
Datum
omen_bit_hamming_distance(PG_FUNCTION_ARGS)
{
	BitString	a;
	BitString	b;
	uint64		differing;

	get_pair(fcinfo, &a, &b);
	differing = omen_kernels->bits->differing(a.bytes, b.bytes, a.n_bytes);
	free_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8((double) differing);
}

/*
 * One minus the share of common bits among those set in either; strings
 * without common bits are at distance 1, empty sets included.
 */
PG_FUNCTION_INFO_V1(omen_bit_jaccard_distance);
Datum
omen_bit_jaccard_distance(PG_FUNCTION_ARGS)
{
	BitString	a;
	BitString	b;
	uint64		both;
	uint64		either;

	get_pair(fcinfo, &a, &b);
	omen_kernels->bits->common(a.bytes, b.bytes, a.n_bytes, &both, &either);
	free_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(both == 0 ? 1 : 1 - (double) both / (double) either);
}
