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
	const char *data;			/* number of bits, bits */
} BitString;

static inline BitString
get_bits(Datum datum)
{
	BitString	result;

	result.datum = (struct varlena *) DatumGetPointer(datum);
	if (unlikely(VARATT_IS_EXTERNAL(result.datum) || VARATT_IS_COMPRESSED(result.datum)))
		result.datum = PG_DETOAST_DATUM_PACKED(datum);
	result.data = VARDATA_ANY(result.datum);
	return result;
}

static inline int32
bit_length(const BitString *bits)
{
	int32		length;

	memcpy(&length, bits->data, sizeof(length));
	return length;
}

static inline const uint8 *
bytes_of(const BitString *bits)
{
	return (const uint8 *) bits->data + sizeof(int32);
}

/*
 * Two bit strings of equal length; returns how many bytes they have.
 */
static inline uint32
get_pair(FunctionCallInfo fcinfo, BitString *a, BitString *b)
{
	int32		n_bits;

	*a = get_bits(PG_GETARG_DATUM(0));
	*b = get_bits(PG_GETARG_DATUM(1));
	n_bits = bit_length(a);
	if (unlikely(n_bits != bit_length(b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %d and %d", n_bits, bit_length(b))));
	return ((uint32) n_bits + BITS_PER_BYTE - 1) / BITS_PER_BYTE;
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
	uint32		n_bytes = get_pair(fcinfo, &a, &b);
	uint64		differing;

	differing = omen_kernels->bits->differing(bytes_of(&a), bytes_of(&b), n_bytes);
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
	uint32		n_bytes = get_pair(fcinfo, &a, &b);
	uint64		both;
	uint64		either;

	omen_kernels->bits->common(bytes_of(&a), bytes_of(&b), n_bytes, &both, &either);
	free_pair(fcinfo, &a, &b);
	PG_RETURN_FLOAT8(both == 0 ? 1 : 1 - (double) both / (double) either);
}
