/*-------------------------------------------------------------------------
 *
 * number_text.h
 *	  Numbers and lists of numbers as text, for all vector types.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_NUMBER_TEXT_H
#define OMEN_NUMBER_TEXT_H

#include "src/types/shape.h"

/* What omen_text_read_float() found. */
typedef enum OmenNumberStatus
{
	OMEN_NUMBER_OK,
	OMEN_NUMBER_MISSING,		/* no number starts here */
	OMEN_NUMBER_TOO_LARGE,		/* finite, but not as a float */
	OMEN_NUMBER_TOO_SMALL		/* not zero, but as a float it is */
} OmenNumberStatus;

/* White space as the vector types understand it, whatever the locale. */
static inline bool
omen_text_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline const char *
omen_text_skip_space(const char *p)
{
	while (omen_text_is_space(*p))
		p++;
	return p;
}

/*
 * Read one number, rounded correctly; accepts what strtof() accepts.  *cursor
 * moves behind it, unless it is missing.
 */
extern OmenNumberStatus omen_text_read_float(const char **cursor, float *value);

/* Report a literal that does not follow the grammar; detail may be NULL. */
extern void omen_text_syntax_error(const OmenTypeTraits *type, const char *literal,
								   const char *detail) pg_attribute_noreturn();

/* Report the number from start up to end, which the type cannot hold. */
extern void omen_text_range_error(const OmenTypeTraits *type, const char *start,
								  const char *end) pg_attribute_noreturn();

/*
 * Parse "[1,2.5,-3e-4]" into at most type->max_dims finite floats; returns how
 * many.  Elements of magnitude too_large or more are out of the type's range.
 */
extern int	omen_text_parse_list(const OmenTypeTraits *type, const char *literal,
								 float too_large, float *elements);

/* The most bytes that omen_text_put_float() writes. */
#define OMEN_TEXT_FLOAT_BYTES 16

/* Write the shortest digits that read back as value; returns the end. */
extern char *omen_text_put_float(char *p, float value);

#endif							/* OMEN_NUMBER_TEXT_H */
