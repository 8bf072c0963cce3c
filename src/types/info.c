/*-------------------------------------------------------------------------
 *
 * info.c
 *	  What the loaded library says about itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "src/kernels/kernels.h"
#include "utils/builtins.h"

/* The version of this library; make check-version compares it. */
#define OMEN_VERSION "0.1.0"

PG_FUNCTION_INFO_V1(omen_info_version);
Datum
omen_info_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(OMEN_VERSION));
}

PG_FUNCTION_INFO_V1(omen_info_simd);
Datum
omen_info_simd(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(omen_kernels->name));
}
