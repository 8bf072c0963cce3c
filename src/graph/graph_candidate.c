/*-------------------------------------------------------------------------
 *
 * graph_candidate.c
 *	  Sorting and selection of packed candidates.
 *
 * Results depend on the multiset of words alone; no words of one array are
 * equal in practice, since each node occurs once.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_candidate.h"

#define ST_SORT packed_sort
#define ST_ELEMENT_TYPE uint64
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

#define ST_SORT nodes_sort
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Below this, insertion sort is the fastest. */
#define PACKED_INSERTION_SORT 24

/* The same for arrays in which most words are near their places. */
#define PACKED_INSERTION_SORT_RUNS 96

static void
packed_insertion_sort(uint64 *packed, size_t n)
{
	size_t		i;

	for (i = 1; i < n; i++)
	{
		uint64		word = packed[i];
		size_t		at = i;

		while (at > 0 && packed[at - 1] > word)
		{
			packed[at] = packed[at - 1];
			at--;
		}
		packed[at] = word;
	}
}

void
omen_packed_sort(uint64 *packed, size_t n)
{
	if (n <= PACKED_INSERTION_SORT)
		packed_insertion_sort(packed, n);
	else
		packed_sort(packed, n);
}

void
omen_packed_sort_runs(uint64 *packed, size_t n)
{
	if (n <= PACKED_INSERTION_SORT_RUNS)
		packed_insertion_sort(packed, n);
	else
		packed_sort(packed, n);
}

void
omen_nodes_sort(uint32 *nodes, size_t n)
{
	nodes_sort(nodes, n);
}

/* From the end, in place: what is left over of the first array already is. */
void
omen_packed_merge(uint64 *packed, size_t n, const uint64 *more, size_t n_more)
{
	size_t		at = n + n_more;

	while (n_more > 0)
	{
		if (n > 0 && packed[n - 1] > more[n_more - 1])
			packed[--at] = packed[--n];
		else
			packed[--at] = more[--n_more];
	}
}

static inline uint64
packed_median(uint64 a, uint64 b, uint64 c)
{
	return Max(Min(a, b), Min(Max(a, b), c));
}

/* Hoare's selection: each round keeps the part that the k-th place is in. */
void
omen_packed_select(uint64 *packed, size_t n, size_t k)
{
	size_t		from = 0;
	size_t		to = n;

	while (to - from > PACKED_INSERTION_SORT && k > from && k < to)
	{
		uint64		pivot = packed_median(packed[from], packed[from + (to - from) / 2],
										  packed[to - 1]);
		size_t		left = from;
		size_t		right = to - 1;
		size_t		low_end;
		size_t		high_start;

		for (;;)
		{
			uint64		word;

			while (packed[left] < pivot)
				left++;
			while (packed[right] > pivot)
				right--;
			if (left >= right)
				break;
			word = packed[left];
			packed[left++] = packed[right];
			packed[right--] = word;
		}

		/* [from .. low_end) <= pivot <= [high_start .. to), the pivot between */
		low_end = (left == right) ? right : right + 1;
		high_start = (left == right) ? right + 1 : left;
		if (k < low_end)
			to = low_end;
		else if (k > high_start)
			from = high_start;
		else
			return;
	}
	if (k > from && k < to)
		packed_insertion_sort(packed + from, to - from);
}
