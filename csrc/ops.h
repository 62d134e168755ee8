/* The kernels of ops.def as two structs of function pointers, the arguments they take, and the backend:
   one instruction set's kernels for both dtypes. All strides are in bytes. */
#ifndef SL_OPS_H
#define SL_OPS_H

#include <stddef.h>
#include <stdint.h>

/* The probes go over whole multiples of this many elements, 1 KB of float64. */
enum { SL_PROBE_STEP = 128 };

/* NumPy's own limit on the number of dimensions. */
enum { SL_MAX_DIMS = 64 };

/* How the elements of an array are stored; native float32 or float64 (the kernel's T) where no bit is set. */
enum {
    SL_SWAPPED = 1,  /* the other byte order; inputs only */
    SL_HALF = 2,     /* IEEE binary16; the kernels of float32 only */
    SL_INT8 = 4,     /* class indices: one of these widths, and a bit if unsigned; uint64 within int64 counts as such */
    SL_INT16 = 8,
    SL_INT32 = 16,
    SL_INT64 = 32,
    SL_UNSIGNED = 64,
};

/* The rows an operation runs over and the columns (classes) each has. Dimensions that were not reduced make the
   row index (C order, last fastest), reduced ones the column index. The number of rows or columns is the product
   of its dimensions: 1 where there are none. */
typedef struct {
    size_t rows, cols;
    int row_dims, col_dims;
    size_t row[SL_MAX_DIMS], col[SL_MAX_DIMS];
} sl_shape;

/* One operand laid over such a shape; a per-row operand (a target, a loss) has no column strides. p NULL: absent. */
typedef struct {
    char *p;
    int storage;
    ptrdiff_t row[SL_MAX_DIMS], col[SL_MAX_DIMS];
} sl_array;

/* A sum in twice the precision of double: add to `sum`, collect what was lost in `rest`. */
typedef struct {
    double sum, rest;
} sl_sum;

/* Memory that a kernel may use while it runs, aligned to 64 bytes; p NULL: none. */
typedef struct {
    void *p;
    size_t size;
} sl_memory;

/* How an operation's rows are cut: into blocks of a multiple of so many rows, and each block into so many segments.
   `held` is the most memory that a block would use. */
typedef struct {
    size_t together, segments, held;
} sl_cut;

/* Long rows are cut into segments of columns, as many and as long as the number of columns says, and are computed in
   steps: each segment's sums, in any order; the rows', once all of those are there, and what is per row; then each
   segment's outputs, in any order. (long.h) */
typedef enum { SL_SUM, SL_ROWS, SL_OUTPUT } sl_step;

enum { SL_SEGMENTS = 32, SL_SEGMENT_BYTES = 8192 };

typedef struct {
    sl_step step;
    size_t segment;
    void *sums; /* (segments + 1) SL_SEGMENT_BYTES, which the steps of the same rows hand on; aligned to 64 bytes */
} sl_part;

typedef struct {
    const sl_shape *shape;
    sl_array x;          /* rows x cols */
    sl_array b;          /* rows x cols, optional: factors of the exponentials, any sign */
    sl_array lse, sign;  /* per row; sign optional */
    sl_array softmax;    /* rows x cols, optional; not together with b */
} sl_logsumexp;

typedef struct {
    const sl_shape *shape;
    sl_array x, y;  /* rows x cols; y.p == x.p: in place */
    int log;        /* log_softmax instead of softmax */
} sl_softmax;

typedef struct {
    const sl_shape *shape;   /* soft labels and index targets alike: exactly one column dimension */
    sl_array logits;         /* rows x cols */
    sl_array target;         /* per row, integers, every one valid or ignored; p NULL: soft labels */
    sl_array soft;           /* rows x cols, where target.p is NULL */
    sl_array sample_weight;  /* per row, optional */
    const void *weight;      /* T[cols], contiguous, optional */
    double weight_sum;       /* sum of weight, or cols where there is none */
    int64_t ignore_index;
    double label_smoothing, lse_square_scale;
    double grad_scale;       /* times every gradient: 1, or 1/denominator of a mean */
    sl_array loss, lse;      /* per row, optional; loss with sample_weight in it */
    sl_array grad;           /* rows x cols, optional; grad.p == logits.p: in place */
} sl_cross_entropy;

/* Elements along one dimension, `stride` bytes apart and aligned, stored as 0 or SL_HALF says. p NULL: absent. */
typedef struct {
    char *p;
    ptrdiff_t stride;
    int storage;
} sl_run;

typedef struct {
    sl_run x, y;
    sl_run weight, pos_weight;  /* optional: 1 */
    sl_run loss, grad;          /* optional */
    double grad_scale;
} sl_binary_cross_entropy;

#define X(name, args) void(*name) args;
#define T float
typedef struct {
#include "ops.def"
} sl_ops_f32;
#undef T
#define T double
typedef struct {
#include "ops.def"
} sl_ops_f64;
#undef T
#undef X

typedef struct {
    const char *name;
    const sl_ops_f32 *f32;
    const sl_ops_f64 *f64;
} sl_backend;

/* The backends of this build that this machine runs, best first; NULL past the last. (dispatch.c) */
const sl_backend *sl_backend_at(int i);
/* The one of that name among them, or NULL. */
const sl_backend *sl_backend_named(const char *name);

/* Reads the index targets of rows [begin, end) of `a` once, before any output is written: adds their part of the
   mean's denominator, the sum over kept rows of weight[target] * sample_weight, and returns the first row whose
   target is neither ignored nor in [0, cols), or -1. (targets.c) */
ptrdiff_t sl_scan_targets(const sl_cross_entropy *a, int weight_is_double, size_t begin, size_t end,
                          sl_sum *denominator, int64_t *bad_target);

#endif
