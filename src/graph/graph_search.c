/*-------------------------------------------------------------------------
 *
 * graph_search.c
 *	  Best-first beam search over a graph of nodes that the caller provides.
 *
 * The beam holds the ef nearest nodes seen so far, sorted; the nearest one
 * that is not yet expanded is expanded next (its links are looked up, those
 * not seen before are evaluated and compete for a place), until all are.
 * Entries are packed words (graph_candidate.h) whose flag means "expanded".
 *
 * Three sorted arrays share the work:
 *
 *	beam	the ef nearest.
 *	side	new entries of a wide beam, merged into it a few hundred at a
 *			time: moving half a megabyte for each entry would cost more than
 *			the rest of the search.  Not used up to WIDE_BEAM.
 *	owed	nodes whose results were taken by omen_search_resume() before they
 *			were expanded (a bound had ended the run).  They are not results
 *			any more, but what lies behind them must still be found.
 *
 * Where the source selects nodes, only those wanted are evaluated and can be
 * results or be expanded.  The graph was not made for them alone, so an
 * expansion looks through neighbours that are not wanted at theirs (after
 * Patel et al., ACORN, 2024), through each of them once in a search.
 *
 * With keep_discards, what is evaluated but finds no place, or loses it, goes
 * to an array from which omen_search_resume() takes the best.  So each node
 * ever evaluated is in exactly one place: beam, side, discards, or taken.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_search.h"

#include <float.h>
#include <math.h>

#include "src/graph/graph_candidate.h"
#include "src/graph/graph_search_internal.h"

/* Wider beams take new entries by way of the side array. */
#define WIDE_BEAM 1024
#define SIDE_CAPACITY 512

/* Beams up to this length take all new entries of an expansion at once. */
#define SHORT_BEAM 256

/* The set of nodes seen starts with this many places, or so many for each of ef. */
#define SEEN_MIN_PLACES 512
#define SEEN_PLACES_PER_EF 32
#define SEEN_MAX_FIRST_PLACES 65536

/* A place of that set: the number of a block of 32 nodes, and a bit for each. */
#define SEEN_BLOCK_SHIFT 5
#define SEEN_BLOCK_NODES (1U << SEEN_BLOCK_SHIFT)
#define SEEN_FREE PG_UINT64_MAX

/* A sorted array of packed words. */
typedef struct SortedWords
{
	uint64	   *words;
	uint32		n;
	uint32		capacity;
	uint32		first_open;		/* no word before this one is unexpanded */
} SortedWords;

struct OmenSearch
{
	const OmenHost *host;
	OmenNodeSource *source;

	uint32		ef;
	uint32		patience;
	uint32		bound_bits;		/* the bound as the key's half of a word */
	bool		keep_discards;

	SortedWords beam;			/* a short one is filled up with NONE */
	SortedWords side;
	SortedWords owed;
	uint64		worst;			/* words from here on find no place */

	uint64	   *discards;
	size_t		n_discards;
	size_t		discards_capacity;

	/*
	 * The nodes seen: open addressing by block of consecutive nodes; a place
	 * has the block's number above and the nodes' bits below.  Numbers are
	 * handed out by locality, so a search sees few blocks, which makes the set
	 * small and its branches predictable.
	 */
	uint64	   *seen;
	uint32		seen_capacity;	/* places allocated */
	uint32		seen_places;	/* places in use, a power of two */
	int			seen_shift;		/* 32 - log2(seen_places) */
	uint32		n_seen_blocks;

	/* the expansion under way */
	uint32		current;
	int			n_fresh;
	uint32		links[OMEN_MAX_LINKS];
	uint32		fresh[OMEN_MAX_LINKS + 1];
	float		keys[OMEN_MAX_LINKS];
	uint64		entering[OMEN_MAX_LINKS + 1];
	uint64		fallen[OMEN_MAX_LINKS];

	OmenCandidate *results;
	size_t		results_capacity;

	uint64		n_keys;
	uint64		n_expanded;
};

/* ---------- memory ---------- */

/*
 * Room for at least `needed` elements, keeping the first n: the array at
 * least doubles.  Returns the array.
 */
static void *
search_grow(OmenSearch *search, void *old, size_t element_bytes, size_t n,
			size_t needed, size_t *capacity)
{
	const OmenHost *host = search->host;
	size_t		wanted = Max(needed, *capacity * 2);
	void	   *array;

	wanted = Max(wanted, 64);
	array = host->alloc(host->arg, wanted * element_bytes);
	if (old != NULL)
	{
		memcpy(array, old, n * element_bytes);
		host->release(host->arg, old);
	}
	*capacity = wanted;
	return array;
}

static void
sorted_reserve(OmenSearch *search, SortedWords *sorted, uint32 needed)
{
	size_t		capacity = sorted->capacity;

	if (needed <= sorted->capacity)
		return;
	sorted->words = search_grow(search, sorted->words, sizeof(uint64), sorted->n,
								needed, &capacity);
	sorted->capacity = (uint32) Min(capacity, PG_UINT32_MAX);
}

OmenSearch *
omen_search_create(const OmenHost *host)
{
	OmenSearch *search = host->alloc(host->arg, sizeof(OmenSearch));

	memset(search, 0, sizeof(*search));
	search->host = host;
	return search;
}

static void
search_release(OmenSearch *search, void *pointer)
{
	if (pointer != NULL)
		search->host->release(search->host->arg, pointer);
}

void
omen_search_destroy(OmenSearch *search)
{
	search_release(search, search->beam.words);
	search_release(search, search->side.words);
	search_release(search, search->owed.words);
	search_release(search, search->discards);
	search_release(search, search->seen);
	search_release(search, search->results);
	search_release(search, search);
}

/* ---------- the set of nodes seen ---------- */

/* Make the set empty, with the given number of places (a power of two). */
static void
seen_reset(OmenSearch *search, uint32 places)
{
	if (places > search->seen_capacity)
	{
		search_release(search, search->seen);
		search->seen = search->host->alloc(search->host->arg, sizeof(uint64) * places);
		search->seen_capacity = places;
	}
	search->seen_places = places;
	search->seen_shift = 32;
	while (places > 1)
	{
		places /= 2;
		search->seen_shift--;
	}
	memset(search->seen, 0xff, sizeof(uint64) * search->seen_places);
	search->n_seen_blocks = 0;
}

/* Multiplicative hashing by the golden ratio. */
static inline uint32
seen_home(uint32 block, int shift)
{
	return (block * 2654435769U) >> shift;
}

/*
 * The place of a block whose first place is taken by another one or free: go
 * on to its own or to a free one, which is then claimed.
 */
static pg_noinline uint32
seen_probe(OmenSearch *search, uint32 block, uint32 place)
{
	uint64	   *seen = search->seen;

	while ((uint32) (seen[place] >> 32) != block)
	{
		if (seen[place] == SEEN_FREE)
		{
			seen[place] = (uint64) block << 32;
			search->n_seen_blocks++;
			break;
		}
		place = (place + 1) & (search->seen_places - 1);
	}
	return place;
}

/*
 * Add the nodes that are not yet in the set, and copy them to fresh (room for
 * n + 1); returns their number.  There must be room in the set.
 */
static inline int
seen_add(OmenSearch *search, const uint32 *nodes, int n, uint32 *fresh)
{
	uint64	   *seen = search->seen;
	int			shift = search->seen_shift;
	int			n_fresh = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		uint32		node = nodes[i];
		uint32		block = node >> SEEN_BLOCK_SHIFT;
		uint32		place = seen_home(block, shift);
		uint64		bits = seen[place];
		uint32		bit = 1U << (node & (SEEN_BLOCK_NODES - 1));

		if (unlikely((uint32) (bits >> 32) != block))
		{
			place = seen_probe(search, block, place);
			bits = seen[place];
		}
		/* no branch: whether the node is new is not predictable */
		fresh[n_fresh] = node;
		n_fresh += ((uint32) bits & bit) == 0;
		seen[place] = bits | bit;
	}
	return n_fresh;
}

/* Make room for `more` nodes: the set stays at most half full. */
static void
seen_reserve(OmenSearch *search, uint32 more)
{
	uint64	   *old = search->seen;
	uint32		old_places = search->seen_places;
	uint32		places = old_places;
	uint32		i;

	if (likely(search->n_seen_blocks + more <= old_places / 2))
		return;

	while (search->n_seen_blocks + more > places / 4)
		places *= 2;
	search->seen = NULL;
	search->seen_capacity = 0;
	seen_reset(search, places);
	for (i = 0; i < old_places; i++)
	{
		if (old[i] != SEEN_FREE)
		{
			uint32		block = (uint32) (old[i] >> 32);

			search->seen[seen_probe(search, block, seen_home(block, search->seen_shift))] = old[i];
		}
	}
	search_release(search, old);
}

/* ---------- beam ---------- */

/* Index of the first word that is greater than `word`. */
static inline uint32
sorted_find(const SortedWords *sorted, uint64 word)
{
	const uint64 *base = sorted->words;
	uint32		n = sorted->n;

	/* halving; compilers make a branch of "?:", and its outcome is a coin's */
	while (n > 1)
	{
		uint32		half = n / 2;

		base += half & -(uint32) (base[half - 1] < word);
		n -= half;
	}
	return (uint32) (base - sorted->words) + (n == 1 && *base < word);
}

/* Insert a word; there must be room. */
static inline void
sorted_insert(SortedWords *sorted, uint64 word)
{
	uint32		at = sorted_find(sorted, word);

	memmove(sorted->words + at + 1, sorted->words + at, (sorted->n - at) * sizeof(uint64));
	sorted->words[at] = word;
	sorted->n++;
	sorted->first_open = Min(sorted->first_open, at);
}

/* Move first_open to the first unexpanded word; returns that, or NONE. */
static inline uint64
sorted_first_open(SortedWords *sorted)
{
	uint32		i = sorted->first_open;

	while (i < sorted->n && (sorted->words[i] & OMEN_PACKED_FLAG))
		i++;
	sorted->first_open = i;
	return i < sorted->n ? sorted->words[i] : OMEN_PACKED_NONE;
}

static void
search_discard(OmenSearch *search, uint64 word)
{
	if (!search->keep_discards)
		return;
	if (search->n_discards == search->discards_capacity)
		search->discards = search_grow(search, search->discards, sizeof(uint64),
									   search->n_discards, search->n_discards + 1,
									   &search->discards_capacity);
	search->discards[search->n_discards++] = word;
}

/* Drop what is too much for the beam and note what may still come in. */
static void
search_trim_beam(OmenSearch *search)
{
	while (search->beam.n > search->ef)
		search_discard(search, search->beam.words[--search->beam.n]);
	search->worst = search->beam.n < search->ef ? OMEN_PACKED_NONE :
		search->beam.words[search->ef - 1];
}

/* Add the words of `from` to `to`, which must have room; empties `from`. */
static void
sorted_merge(SortedWords *to, SortedWords *from)
{
	if (from->first_open < from->n)
		to->first_open = Min(to->first_open,
							 sorted_find(to, from->words[from->first_open]));
	omen_packed_merge(to->words, to->n, from->words, from->n);
	to->n += from->n;
	from->n = 0;
	from->first_open = 0;
}

static void
search_merge_side(OmenSearch *search)
{
	if (search->side.n == 0)
		return;
	sorted_reserve(search, &search->beam, search->beam.n + search->side.n);
	sorted_merge(&search->beam, &search->side);
	search_trim_beam(search);
}

/* Let a newly evaluated node compete for a place. */
static inline void
search_add(OmenSearch *search, uint64 word)
{
	if (word >= search->worst)
	{
		search_discard(search, word);
		return;
	}

	if (unlikely(search->ef > WIDE_BEAM))
	{
		if (search->side.n == SIDE_CAPACITY)
			search_merge_side(search);
		sorted_insert(&search->side, word);
		return;
	}

	if (search->beam.n == search->ef)
		search_discard(search, search->beam.words[--search->beam.n]);
	else if (unlikely(search->beam.n == search->beam.capacity))
		sorted_reserve(search, &search->beam, Min(search->ef, search->beam.n * 2 + 64));
	sorted_insert(&search->beam, word);
	if (search->beam.n == search->ef)
		search->worst = search->beam.words[search->ef - 1];
}

static inline uint64
sorted_lesser(uint64 a, uint64 b)
{
	return b ^ ((a ^ b) & -(uint64) (a < b));
}

/*
 * The same for the nodes just evaluated, for a short beam: first those that
 * find no place are sorted out, then the others go in together.
 */
static void
search_add_fresh(OmenSearch *search, int n)
{
	uint64	   *entering = search->entering;
	uint64		nearest = OMEN_PACKED_NONE;
	int			n_entering = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		uint64		word = omen_packed_make(search->keys[i], search->fresh[i]);

		/* no branch: the outcome is not predictable */
		entering[n_entering] = word;
		n_entering += (word < search->worst);
		nearest = sorted_lesser(word, nearest);
		if (search->keep_discards && word >= search->worst)
			search_discard(search, word);
	}
	if (n_entering == 0)
		return;
	omen_kernels->insert_sorted(search->beam.words, search->ef, entering, n_entering,
								search->keep_discards ? search->fallen : NULL);
	for (i = 0; search->keep_discards && i < n_entering; i++)
	{
		if (search->fallen[i] != OMEN_PACKED_NONE)
			search_discard(search, search->fallen[i]);
	}
	search->beam.n = Min(search->ef, search->beam.n + n_entering);
	search->beam.first_open = Min(search->beam.first_open, sorted_find(&search->beam, nearest));
	search->worst = search->beam.words[search->ef - 1];
}

/* ---------- start ---------- */


static void
search_set_width(OmenSearch *search, uint32 ef)
{
	search->ef = Max(ef, 1);
	search->patience = omen_search_patience(search->ef);
	sorted_reserve(search, &search->beam, Min(search->ef, WIDE_BEAM));
	if (search->ef > WIDE_BEAM)
		sorted_reserve(search, &search->side, SIDE_CAPACITY);
	search_trim_beam(search);
	if (search->ef <= SHORT_BEAM)
		memset(search->beam.words + search->beam.n, 0xff,
			   sizeof(uint64) * (search->ef - search->beam.n));
}

void
omen_search_begin(OmenSearch *search, OmenNodeSource *source, uint32 ef,
				  float bound, bool keep_discards)
{
	uint32		places = SEEN_MIN_PLACES;

	search->source = source;
	search->keep_discards = keep_discards;
	search->beam.n = search->beam.first_open = 0;
	search->side.n = search->side.first_open = 0;
	search->owed.n = search->owed.first_open = 0;
	search->n_discards = 0;
	search->n_fresh = 0;
	search->n_keys = 0;
	search->n_expanded = 0;
	search->bound_bits = omen_packed_key_bits(bound);
	search_set_width(search, ef);

	/* with a bound from elsewhere it is likely to be a short search */
	while (bound == INFINITY && places < SEEN_MAX_FIRST_PLACES && places / SEEN_PLACES_PER_EF < search->ef)
		places *= 2;
	seen_reset(search, places);
}

void
omen_search_seed(OmenSearch *search, const OmenCandidate *seeds, int n)
{
	int			i;

	seen_reserve(search, n);
	for (i = 0; i < n; i++)
	{
		uint32		unused[2];

		if (seen_add(search, &seeds[i].node, 1, unused) > 0)
			search_add(search, omen_packed_make(seeds[i].key, seeds[i].node));
	}
	search->n_keys += n;
}

/* ---------- expansion ---------- */

/*
 * How many entries are nearer than `word`, which may be in any of the arrays.
 */
static uint32
search_rank(const OmenSearch *search, uint64 word)
{
	return sorted_find(&search->beam, word) + sorted_find(&search->side, word) +
		sorted_find(&search->owed, word);
}

/* The array with the nearest unexpanded word; that word, or NONE, in *word. */
static inline SortedWords *
search_nearest_open(OmenSearch *search, uint64 *word)
{
	SortedWords *nearest = &search->beam;

	*word = sorted_first_open(&search->beam);
	if (unlikely(search->side.n + search->owed.n > 0))
	{
		uint64		side = sorted_first_open(&search->side);
		uint64		owed = sorted_first_open(&search->owed);

		if (side < *word)
		{
			nearest = &search->side;
			*word = side;
		}
		if (owed < *word)
		{
			nearest = &search->owed;
			*word = owed;
		}
	}
	return nearest;
}

bool
omen_search_pick(OmenSearch *search)
{
	OmenNodeSource *source = search->source;
	uint64		word;
	uint64		next;
	SortedWords *from = search_nearest_open(search, &word);

	if (word == OMEN_PACKED_NONE)
		return false;
	if (unlikely((uint32) (word >> 32) > search->bound_bits) &&
		search_rank(search, word) >= search->patience)
		return false;

	from->words[from->first_open] |= OMEN_PACKED_FLAG;
	search->current = omen_packed_node(word);
	source->prefetch_links(source, search->current);

	/* most likely the next one */
	search_nearest_open(search, &next);
	if (next != OMEN_PACKED_NONE)
		source->prefetch_links(source, omen_packed_node(next));
	return true;
}

void
omen_search_fetch(OmenSearch *search)
{
	OmenNodeSource *source = search->source;
	int			n = source->links(source, search->current, search->links);

	seen_reserve(search, n);
	search->n_fresh = seen_add(search, search->links, n, search->fresh);
	if (search->n_fresh > 0)
		source->prefetch_codes(source, search->fresh, search->n_fresh);
	search->n_expanded++;
}

void
omen_search_evaluate(OmenSearch *search)
{
	OmenNodeSource *source = search->source;
	int			n = search->n_fresh;
	int			i;

	if (n == 0)
		return;
	source->keys(source, search->fresh, n, search->keys);
	search->n_keys += n;
	search->n_fresh = 0;
	if (likely(search->ef <= SHORT_BEAM))
	{
		search_add_fresh(search, n);
		return;
	}
	for (i = 0; i < n; i++)
		search_add(search, omen_packed_make(search->keys[i], search->fresh[i]));
}

/* Wanted nodes, those not seen before, become fresh ones. */
static void
search_admit(OmenSearch *search, const uint32 *nodes, int n)
{
	int			n_new;

	if (search->n_fresh + n > OMEN_MAX_LINKS)
		omen_search_evaluate(search);
	seen_reserve(search, n);
	n_new = seen_add(search, nodes, n, search->fresh + search->n_fresh);
	search->source->prefetch_codes(search->source, search->fresh + search->n_fresh, n_new);
	search->n_fresh += n_new;
}

/*
 * Nodes met: those wanted are evaluated; then the wanted ones among the links
 * of others, until there are enough.
 */
void
omen_search_meet(OmenSearch *search, uint32 *nodes, int n)
{
	OmenNodeSource *source = search->source;
	int			n_wanted = source->select(source, nodes, n);
	int			n_met = n_wanted;
	int			i;

	search_admit(search, nodes, n_wanted);
	for (i = n_wanted; i < n && n_met < source->enough; i++)
	{
		uint32		unused[2];
		int			n_links;

		seen_reserve(search, 1);
		if (seen_add(search, &nodes[i], 1, unused) == 0)
			continue;			/* looked through already */
		if (i + 1 < n)
			source->prefetch_links(source, nodes[i + 1]);
		n_links = source->links(source, nodes[i], search->links);
		n_links = source->select(source, search->links, n_links);
		search_admit(search, search->links, n_links);
		n_met += n_links;
	}
	omen_search_evaluate(search);
}

/* Expand the node picked last. */
static inline void
search_expand(OmenSearch *search)
{
	OmenNodeSource *source = search->source;

	if (unlikely(source->select != NULL))
	{
		uint32		links[OMEN_MAX_LINKS];
		int			n = source->links(source, search->current, links);

		omen_search_meet(search, links, n);
		search->n_expanded++;
		return;
	}
	omen_search_fetch(search);
	omen_search_evaluate(search);
}

bool
omen_search_run(OmenSearch *search, int max_expansions)
{
	int			i;

	for (i = 0; i < max_expansions; i++)
	{
		if (!omen_search_pick(search))
			return true;
		search_expand(search);
	}
	return false;
}

/* ---------- results ---------- */

int
omen_search_packed_results(OmenSearch *search, const uint64 **packed)
{
	search_merge_side(search);
	*packed = search->beam.words;
	return (int) search->beam.n;
}

int
omen_search_results(OmenSearch *search, const OmenCandidate **results)
{
	const uint64 *packed;
	int			n = omen_search_packed_results(search, &packed);
	int			i;

	if ((size_t) n > search->results_capacity)
		search->results = search_grow(search, search->results, sizeof(OmenCandidate), 0,
									  n, &search->results_capacity);
	for (i = 0; i < n; i++)
	{
		search->results[i].key = omen_packed_key(packed[i]);
		search->results[i].node = omen_packed_node(packed[i]);
	}
	*results = search->results;
	return n;
}

/* The beam's unexpanded entries join those owed; the beam becomes empty. */
static void
search_take_results(OmenSearch *search)
{
	SortedWords *beam = &search->beam;
	uint32		n_open = 0;
	uint32		i;

	search_merge_side(search);
	for (i = beam->first_open; i < beam->n; i++)
	{
		if (!(beam->words[i] & OMEN_PACKED_FLAG))
			beam->words[n_open++] = beam->words[i];
	}
	beam->n = n_open;
	beam->first_open = 0;
	sorted_reserve(search, &search->owed, search->owed.n + n_open);
	sorted_merge(&search->owed, beam);

	/* what was expanded meanwhile is owed no more */
	for (i = 0, n_open = 0; i < search->owed.n; i++)
	{
		if (!(search->owed.words[i] & OMEN_PACKED_FLAG))
			search->owed.words[n_open++] = search->owed.words[i];
	}
	search->owed.n = n_open;
	search->owed.first_open = 0;
}

/*
 * Put the n nearest discards back into the beam.  The order of the others does
 * not matter.
 */
static void
search_readmit(OmenSearch *search, size_t n)
{
	SortedWords *beam = &search->beam;

	omen_packed_select(search->discards, search->n_discards, n);
	omen_packed_sort(search->discards, n);
	sorted_reserve(search, beam, beam->n + n);
	omen_packed_merge(beam->words, beam->n, search->discards, n);
	beam->n += n;
	beam->first_open = 0;
	search->n_discards -= n;
	memmove(search->discards, search->discards + n, search->n_discards * sizeof(uint64));
}

bool
omen_search_resume(OmenSearch *search, uint32 ef, float bound)
{
	size_t		n_taken;

	if (!search->keep_discards)
		return false;

	search_take_results(search);
	n_taken = Min(search->n_discards, Max(ef, 1));
	if (n_taken == 0 && search->owed.n == 0)
		return false;

	search_readmit(search, n_taken);
	search->bound_bits = omen_packed_key_bits(bound);
	search_set_width(search, ef);
	return true;
}

void
omen_search_widen(OmenSearch *search, uint32 ef)
{
	size_t		room;

	search_merge_side(search);
	room = ef - Min(ef, search->beam.n);
	search_readmit(search, Min(search->n_discards, room));
	search_set_width(search, ef);
}

uint32
omen_search_n_results(const OmenSearch *search)
{
	return search->beam.n + search->side.n;
}

uint64
omen_search_n_keys(const OmenSearch *search)
{
	return search->n_keys;
}

uint64
omen_search_n_expanded(const OmenSearch *search)
{
	return search->n_expanded;
}
