/*-------------------------------------------------------------------------
 *
 * number_text.c
 *	  Numbers and lists of numbers as text, for all vector types.
 *
 * Loading vectors as text is bound by reading decimal numbers, and strtof()
 * takes most of that time because it must be right for any number of digits.
 * Nearly all numbers can be had with one double multiplication or division:
 * see read_common_float().  The rest goes to strtof(), so that the result is
 * the correctly rounded float always.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "common/shortest_dec.h"
#include "src/types/number_text.h"

/* Digits that always fit in 64 bits. */
#define MAX_DIGITS 19

/* Beyond these a number of up to 19 digits is no normal float. */
#define MIN_EXPONENT (-64)
#define MAX_EXPONENT 38

static const double powers_of_ten[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24,
	1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36,
	1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48,
	1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60,
	1e61, 1e62, 1e63, 1e64
};

/*
 * Round digits * 10^exponent to a float, if that can be done safely in
 * doubles.
 *
 * The double product is off by less than two units in its last place: half
 * a unit each for the digits, the power of ten and the operation, and a
 * little for digits dropped.  Rounding it to float gives the same as rounding
 * the true value unless a point halfway between two floats lies between the
 * two.  Such a point has the 29 bits that a float lacks at 100...0, so a few
 * units around that pattern are refused.  So are subnormal results, whose
 * halfway points look different, and results that might overflow.
 */
static inline bool
round_to_float(uint64 digits, int exponent, float *value)
{
	double		product;
	uint64		bits;

	if (digits == 0)
	{
		*value = 0;
		return true;
	}
	if (exponent < MIN_EXPONENT || exponent > MAX_EXPONENT)
		return false;
	if (exponent < 0)
		product = (double) digits / powers_of_ten[-exponent];
	else
		product = (double) digits * powers_of_ten[exponent];

	if (product < (double) FLT_MIN * 2 || product > (double) FLT_MAX / 2)
		return false;
	memcpy(&bits, &product, sizeof(bits));
	if ((bits & 0x1fffffff) - (0x10000000 - 4) <= 8)
		return false;
	*value = (float) product;
	return true;
}

/*
 * Read sign, digits, fraction and exponent, the notation of nearly all
 * numbers.  False, with nothing changed, for anything else (hexadecimal,
 * "nan", an exponent without digits) and for numbers that need more care.
 */
static inline bool
read_common_float(const char **cursor, float *value)
{
	const char *p = *cursor;
	const char *start;
	bool		negative = (*p == '-');
	uint64		digits = 0;
	int			n_digits = 0;	/* leading zeros not counted */
	int			exponent = 0;
	int			n_read;
	unsigned int digit;

	if (*p == '-' || *p == '+')
		p++;
	start = p;
	for (; (digit = (unsigned char) *p - '0') <= 9; p++)
	{
		if (likely(n_digits < MAX_DIGITS))
		{
			digits = digits * 10 + digit;
			n_digits += (digits != 0);
		}
		else
			exponent++;
	}
	n_read = p - start;
	if (*p == '.')
	{
		start = ++p;
		for (; (digit = (unsigned char) *p - '0') <= 9; p++)
		{
			if (likely(n_digits < MAX_DIGITS))
			{
				digits = digits * 10 + digit;
				n_digits += (digits != 0);
				exponent--;
			}
		}
		n_read += p - start;
	}
	if (n_read == 0 || *p == 'x' || *p == 'X')
		return false;
	if (*p == 'e' || *p == 'E')
	{
		bool		down = (p[1] == '-');
		int			stated = 0;

		p += (p[1] == '-' || p[1] == '+') ? 2 : 1;
		start = p;
		for (; (digit = (unsigned char) *p - '0') <= 9; p++)
			stated = Min(stated * 10 + (int) digit, 9999);
		if (p == start)
			return false;
		exponent += down ? -stated : stated;
	}

	if (!round_to_float(digits, exponent, value))
		return false;
	if (negative)
		*value = -*value;
	*cursor = p;
	return true;
}

OmenNumberStatus
omen_text_read_float(const char **cursor, float *value)
{
	char	   *end;

	if (likely(read_common_float(cursor, value)))
		return OMEN_NUMBER_OK;

	/* The server keeps LC_NUMERIC at C. */
	errno = 0;
	*value = strtof(*cursor, &end);
	if (end == *cursor)
		return OMEN_NUMBER_MISSING;
	*cursor = end;
	if (errno == ERANGE && isinf(*value))
		return OMEN_NUMBER_TOO_LARGE;
	if (errno == ERANGE && *value == 0)
		return OMEN_NUMBER_TOO_SMALL;
	return OMEN_NUMBER_OK;
}

void
omen_text_syntax_error(const OmenTypeTraits *type, const char *literal, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", type->name, literal),
			 detail ? errdetail("%s", detail) : 0));
}

void
omen_text_range_error(const OmenTypeTraits *type, const char *start, const char *end)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s",
					pnstrdup(start, end - start), type->name)));
}

/*
 * Read one element at *cursor, white space before and after it included.
 */
static inline float
read_element(const OmenTypeTraits *type, const char *literal, float too_large,
			 const char **cursor)
{
	const char *start = omen_text_skip_space(*cursor);
	const char *p = start;
	float		value;

	switch (omen_text_read_float(&p, &value))
	{
		case OMEN_NUMBER_OK:
		case OMEN_NUMBER_TOO_SMALL:
			break;
		case OMEN_NUMBER_MISSING:
			omen_text_syntax_error(type, literal,
								   *p == '\0' ? "Unexpected end of input." : "Expected a number.");
		case OMEN_NUMBER_TOO_LARGE:
			omen_text_range_error(type, start, p);
	}
	if (unlikely(!(fabsf(value) < too_large)))
	{
		if (!isfinite(value))
			omen_shape_bad_element(type, value);
		omen_text_range_error(type, start, p);
	}
	*cursor = omen_text_skip_space(p);
	return value;
}

int
omen_text_parse_list(const OmenTypeTraits *type, const char *literal,
					 float too_large, float *elements)
{
	const char *p = omen_text_skip_space(literal);
	int			n = 0;

	if (*p != '[')
		omen_text_syntax_error(type, literal, "The list of elements starts with \"[\".");
	p = omen_text_skip_space(p + 1);
	if (*p == ']')
		omen_shape_bad_dims(type, 0);

	for (;;)
	{
		if (n == type->max_dims)
			omen_shape_bad_dims(type, (int64) n + 1);
		elements[n++] = read_element(type, literal, too_large, &p);
		if (*p != ',')
			break;
		p++;
	}

	if (*p != ']')
		omen_text_syntax_error(type, literal,
							   *p == '\0' ? "Unexpected end of input." : "Expected \",\" or \"]\" after a number.");
	p = omen_text_skip_space(p + 1);
	if (*p != '\0')
		omen_text_syntax_error(type, literal, "Junk after closing bracket.");
	return n;
}

char *
omen_text_put_float(char *p, float value)
{
	StaticAssertStmt(OMEN_TEXT_FLOAT_BYTES >= FLOAT_SHORTEST_DECIMAL_LEN,
					 "room for a float's digits");

	return p + float_to_shortest_decimal_bufn(value, p);
}
