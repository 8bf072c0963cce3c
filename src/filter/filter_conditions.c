/*-------------------------------------------------------------------------
 *
 * filter_conditions.c
 *	  The conditions of a query on attributes, and whether a row fulfils them.
 *
 * Of a row of a tail the operators themselves are asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/filter_internal.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"

/* ---- from scan keys to conditions ---- */

/* The argument of a key, or those of its array, NULL left out. */
static void
set_arguments(OmenCondition *condition, const ScanKeyData *key)
{
	ArrayType  *array;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if ((key->sk_flags & SK_SEARCHARRAY) == 0)
	{
		condition->n_arguments = 1;
		condition->arguments = palloc(sizeof(Datum));
		condition->arguments[0] = key->sk_argument;
		return;
	}
	array = DatumGetArrayTypeP(key->sk_argument);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &elements, &nulls, &n);
	condition->arguments = elements;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			elements[condition->n_arguments++] = elements[i];
}

/* The function that compares values of an attribute with arguments of a key. */
static void
find_compare(OmenCondition *condition, Relation index, const OmenAttribute *attribute, Oid right)
{
	Oid			left = index->rd_opcintype[attribute->attno - 1];
	Oid			proc;

	if (!OidIsValid(right) || right == left)
	{
		fmgr_info_copy(&condition->compare, unconstify(FmgrInfo *, &attribute->compare),
					   CurrentMemoryContext);
		return;
	}
	proc = get_opfamily_proc(index->rd_opfamily[attribute->attno - 1], left, right, OMEN_COMPARE_PROC);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator family of attribute \"%s\" of index \"%s\" has no function to compare type %s with type %s",
						get_attname(RelationGetRelid(index), attribute->attno, false),
						RelationGetRelationName(index), format_type_be(left), format_type_be(right))));
	fmgr_info(proc, &condition->compare);
}

/* Does the order of an attribute keep texts together that begin alike? */
static bool
keeps_beginnings_together(const OmenAttribute *attribute)
{
	return (attribute->type == TEXTOID || attribute->type == VARCHAROID) &&
		lc_collate_is_c(attribute->collation);
}

/* What texts that match a LIKE pattern begin with. */
static text *
fixed_beginning(Datum pattern)
{
	text	   *whole = DatumGetTextPP(pattern);
	const char *from = VARDATA_ANY(whole);
	const char *end = from + VARSIZE_ANY_EXHDR(whole);
	text	   *beginning = palloc(VARHDRSZ + (end - from));
	char	   *to = VARDATA(beginning);

	for (; from < end && *from != '%' && *from != '_'; from++)
	{
		if (*from == '\\' && ++from == end)
			break;
		*to++ = *from;
	}
	SET_VARSIZE(beginning, to - (char *) beginning);
	return beginning;
}

static void
set_beginnings(OmenCondition *condition)
{
	condition->beginnings = palloc(Max(condition->n_arguments, 1) * sizeof(text *));
	for (int i = 0; i < condition->n_arguments; i++)
	{
		if (condition->strategy == OMEN_STRATEGY_LIKE)
			condition->beginnings[i] = fixed_beginning(condition->arguments[i]);
		else
			condition->beginnings[i] = DatumGetTextPP(condition->arguments[i]);
	}
}

static void
set_operator(OmenCondition *condition, Relation index, const OmenAttribute *attribute, const ScanKeyData *key)
{
	condition->strategy = key->sk_strategy;
	/* what the function keeps for its next call is to go with the filter */
	condition->operator = palloc(sizeof(FmgrInfo));
	fmgr_info_copy(condition->operator, unconstify(FmgrInfo *, &key->sk_func), CurrentMemoryContext);
	condition->collation = key->sk_collation;
	set_arguments(condition, key);
	if (key->sk_strategy >= OMEN_STRATEGY_LESS && key->sk_strategy <= OMEN_STRATEGY_GREATER)
	{
		condition->kind = OMEN_CONDITION_ORDER;
		find_compare(condition, index, attribute, key->sk_subtype);
		return;
	}
	condition->kind = OMEN_CONDITION_TEST;
	if ((key->sk_strategy == OMEN_STRATEGY_PREFIX || key->sk_strategy == OMEN_STRATEGY_LIKE) &&
		keeps_beginnings_together(attribute))
	{
		set_beginnings(condition);
		if (key->sk_strategy == OMEN_STRATEGY_PREFIX)
			condition->kind = OMEN_CONDITION_BEGINS;
	}
}

static void
set_condition(OmenFilter *filter, Relation index, OmenCondition *condition, const ScanKeyData *key)
{
	condition->attribute = key->sk_attno - 2;
	if (key->sk_flags & SK_SEARCHNULL)
		condition->kind = OMEN_CONDITION_IS_NULL;
	else if (key->sk_flags & SK_SEARCHNOTNULL)
		condition->kind = OMEN_CONDITION_IS_NOT_NULL;
	else if (key->sk_flags & SK_ISNULL)
		filter->empty = true;	/* operators are strict */
	else
	{
		set_operator(condition, index, &filter->attributes->attributes[condition->attribute], key);
		filter->empty |= condition->n_arguments == 0;
	}
}

/* ---- keys, to be recognized ---- */

/* Has a key something to compare with? */
static bool
has_argument(const ScanKeyData *key)
{
	return (key->sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL | SK_ISNULL)) == 0;
}

/* A copy of a key with its argument, which may be gone at the next rescan. */
static void
copy_key(OmenFilterKey *copy, Relation index, const ScanKeyData *key)
{
	Oid			type = OidIsValid(key->sk_subtype) ? key->sk_subtype :
		index->rd_opcintype[key->sk_attno - 1];

	copy->key = *key;
	if (!has_argument(key))
		return;
	if (key->sk_flags & SK_SEARCHARRAY)
		copy->length = -1;
	else
		get_typlenbyval(type, &copy->length, &copy->by_value);
	copy->opaque = type == ANYELEMENTOID && (key->sk_flags & SK_SEARCHARRAY) == 0;
	if (!copy->opaque)
		copy->key.sk_argument = datumCopy(key->sk_argument, copy->by_value, copy->length);
}

static bool
is_same_key(const OmenFilterKey *copy, const ScanKeyData *key)
{
	if (copy->key.sk_attno != key->sk_attno || copy->key.sk_flags != key->sk_flags ||
		copy->key.sk_strategy != key->sk_strategy || copy->opaque)
		return false;
	return !has_argument(key) ||
		datumIsEqual(copy->key.sk_argument, key->sk_argument, copy->by_value, copy->length);
}

/* ---- filters ---- */

OmenFilter *
omen_filter_create(Relation index, const OmenAttributes *attributes, const ScanKeyData *keys, int n_keys,
				   const OmenRowBitmap *rows)
{
	OmenFilter *filter;
	int			n = 0;

	for (int i = 0; i < n_keys; i++)
		n += keys[i].sk_attno >= 2;
	if (n == 0 && rows == NULL)
		return NULL;
	filter = palloc0(offsetof(OmenFilter, conditions) + n * sizeof(OmenCondition));
	filter->attributes = attributes;
	filter->context = CurrentMemoryContext;
	filter->scratch = AllocSetContextCreate(CurrentMemoryContext, "omenvec filter",
											ALLOCSET_DEFAULT_SIZES);
	filter->rows = rows;
	filter->empty = rows != NULL && rows->n_blocks == 0;
	filter->keys = palloc0(Max(n, 1) * sizeof(OmenFilterKey));
	for (int i = 0; i < n_keys; i++)
	{
		OmenFilterKey *key = &filter->keys[filter->n];

		if (keys[i].sk_attno < 2)
			continue;
		copy_key(key, index, &keys[i]);
		set_condition(filter, index, &filter->conditions[filter->n++], &key->key);
	}
	return filter;
}

bool
omen_filter_is_of(const OmenFilter *filter, const ScanKeyData *keys, int n_keys)
{
	int			n = 0;

	for (int i = 0; i < n_keys; i++)
	{
		if (keys[i].sk_attno < 2)
			continue;
		if (n == filter->n || !is_same_key(&filter->keys[n++], &keys[i]))
			return false;
	}
	return n == filter->n;
}

bool
omen_filter_is_empty(const OmenFilter *filter)
{
	return filter->empty;
}

/* ---- rows ---- */

bool
omen_condition_says(const OmenCondition *condition, Datum value)
{
	for (int i = 0; i < condition->n_arguments; i++)
		if (DatumGetBool(FunctionCall2Coll(condition->operator, condition->collation,
										   value, condition->arguments[i])))
			return true;
	return false;
}

static bool
row_passes(const OmenFilter *filter, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < filter->n; i++)
	{
		const OmenCondition *condition = &filter->conditions[i];
		bool		null = isnull[condition->attribute];

		if (condition->kind == OMEN_CONDITION_IS_NULL ? !null : null)
			return false;
		if (condition->kind != OMEN_CONDITION_IS_NULL && condition->kind != OMEN_CONDITION_IS_NOT_NULL &&
			!omen_condition_says(condition, values[condition->attribute]))
			return false;
	}
	return true;
}

bool
omen_filter_passes(OmenFilter *filter, BlockNumber block, OffsetNumber offset,
				   const char *packed, uint32 n_bytes)
{
	MemoryContext old_context;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		passes;

	if (filter->rows && !omen_row_bitmap_contains(filter->rows, block, offset))
		return false;
	if (filter->n == 0)
		return true;
	old_context = MemoryContextSwitchTo(filter->scratch);
	if (!omen_attributes_unpack(filter->attributes, packed, n_bytes, values, isnull))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("attributes of a row are damaged"),
				 errhint("Please REINDEX the index.")));
	passes = row_passes(filter, values, isnull);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(filter->scratch);
	return passes;
}
