/* Long rows in segments, which are summed one by one and then joined in their order: so a row has the same bytes in one
   thread, where long_rows goes over the segments, as in several.

   All segments start with the unit that the first tile asks for, so that the exponentials they keep mostly have the
   unit of the whole row; where that has outgrown theirs they are computed again. */
#ifndef SL_LONG_H
#define SL_LONG_H

#include "rows.h"

/* Sums over the labels of rows: of q_j (reference - x_j) and of q_j. The reference is the largest logit so far, so that
   all terms have one sign. */
typedef struct {
    ALIGNED T reference[ROWS];
    row_parts gap, mass;
} labels;

/* What is handed on from one step to another: of each segment, and behind the last one of the whole rows. */
typedef struct {
    sums sums;
    size_t stale;
    labels labels;             /* cross_entropy alone, */
    ALIGNED T x_target[ROWS]; /* likewise: the logits may be overwritten */
} segment;

_Static_assert(sizeof(segment) <= SL_SEGMENT_BYTES, "see ops.h");

static inline segment *this_segment(const sl_part *part) { return (segment *)part->sums + part->segment; }

/* The segment that long_rows sums before any other, while no logit has been overwritten. */
static inline segment *first_summed(const batch *b, const sl_part *part)
{
    return (segment *)part->sums + (b->plan->segments - 1);
}

static inline segment *whole_rows(const batch *b, const sl_part *part)
{
    return (segment *)part->sums + b->plan->segments;
}

/* Lets a batch walk the tiles of one segment. */
static inline void batch_cut(batch *b, const sl_part *part)
{
    b->begin = part->segment * b->plan->segment;
    b->end = min_size(b->begin + b->plan->segment, b->plan->chunks);
}

/* SL_SUM, after batch_sum. */
static inline void keep_sums(const batch *b, const sl_part *part)
{
    this_segment(part)->sums = b->sums;
    this_segment(part)->stale = b->stale;
}

/* SL_ROWS: the batch as batch_sum leaves it after all tiles. */
static void join_sums(batch *b, const sl_part *part)
{
    const segment *all = part->sums;
    b->sums = all[0].sums;
    for (size_t i = 1; i < b->plan->segments; i++)
        sums_join(&b->sums, rows_of_tile(b, 0), &all[i].sums);
    whole_rows(b, part)->sums = b->sums;
}

/* SL_OUTPUT: the batch as batch_sum leaves it after all tiles, to walk those of one segment once more. */
static void take_sums(batch *b, const sl_part *part)
{
    const segment *s = this_segment(part);
    batch_cut(b, part);
    b->sums = whole_rows(b, part)->sums;
    b->stale = share_units(&b->sums, &s->sums, rows_of_tile(b, 0)) ? s->stale : b->end;
}

typedef void long_step(void *context, batch *b, const sl_part *part);

/* All steps of a batch of long rows. The first segment is summed last, since the others look at its first tile, which
   its exponentials may overwrite. */
static __attribute__((noinline)) void long_rows(void *context, batch *b, int output, long_step *step)
{
    const plan *p = b->plan;
    segment all[SL_SEGMENTS + 1];
    sl_part part = {.sums = all};
    part.step = SL_SUM;
    for (part.segment = p->segments; part.segment-- > 0;)
        step(context, b, &part);
    part.segment = 0;
    part.step = SL_ROWS;
    step(context, b, &part);
    part.step = SL_OUTPUT;
    for (part.segment = 0; output && part.segment < p->segments; part.segment++)
        step(context, b, &part);
}

#endif
