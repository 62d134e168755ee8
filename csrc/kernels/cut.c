/* How rows are best cut, for threads that share them. */
#include "tile.h"

void FN(cut_rows)(const sl_shape *s, const sl_array *x, size_t *together, size_t *segments)
{
    plan p = make_plan(s, x);
    *together = p.batch;
    *segments = p.segments;
}
