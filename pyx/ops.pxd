# csrc/ops.h, total.h, targets.h and fpstate.h, for cimport.
from libc.stdint cimport int64_t
from libc.stddef cimport ptrdiff_t


cdef extern from "ops.h" nogil:
    enum:
        SL_MAX_DIMS
        SL_PROBE_STEP
        SL_SWAPPED
        SL_HALF
        SL_INT8
        SL_INT16
        SL_INT32
        SL_INT64
        SL_UNSIGNED
        SL_SEGMENTS
        SL_SEGMENT_BYTES

    ctypedef struct sl_shape:
        size_t rows, cols
        int row_dims, col_dims
        size_t row[SL_MAX_DIMS]
        size_t col[SL_MAX_DIMS]

    ctypedef struct sl_array:
        char *p
        int storage
        ptrdiff_t row[SL_MAX_DIMS]
        ptrdiff_t col[SL_MAX_DIMS]

    ctypedef struct sl_sum:
        double sum, rest

    ctypedef struct sl_memory:
        void *p
        size_t size

    ctypedef struct sl_cut:
        size_t together, segments, held

    ctypedef enum sl_step:
        SL_SUM
        SL_ROWS
        SL_OUTPUT

    ctypedef struct sl_part:
        sl_step step
        size_t segment
        void *sums

    ctypedef struct sl_logsumexp:
        const sl_shape *shape
        sl_array x, b, lse, sign, softmax

    ctypedef struct sl_softmax:
        const sl_shape *shape
        sl_array x, y
        int log

    ctypedef struct sl_cross_entropy:
        const sl_shape *shape
        sl_array logits, target, soft, sample_weight
        const void *weight
        double weight_sum
        int64_t ignore_index
        double label_smoothing, lse_square_scale
        double grad_scale
        sl_array loss, lse, grad

    ctypedef struct sl_run:
        char *p
        ptrdiff_t stride
        int storage

    ctypedef struct sl_binary_cross_entropy:
        sl_run x, y, weight, pos_weight, loss, grad
        double grad_scale

    ctypedef struct sl_ops_f32:
        void (*sigmoid)(const float *x, ptrdiff_t xs, float *y, ptrdiff_t ys, size_t n) noexcept nogil
        void (*log_sigmoid)(const float *x, ptrdiff_t xs, float *y, ptrdiff_t ys, float *dy, ptrdiff_t dys,
                            size_t n) noexcept nogil
        void (*softplus)(const float *x, ptrdiff_t xs, float *y, ptrdiff_t ys, size_t n) noexcept nogil
        void (*binary_cross_entropy)(const sl_binary_cross_entropy *a, size_t begin, size_t end,
                                     sl_sum *total) noexcept nogil
        void (*logsumexp)(const sl_logsumexp *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
        void (*softmax)(const sl_softmax *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
        void (*cross_entropy)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_memory *held,
                              sl_sum *total) noexcept nogil
        void (*cut_rows)(const sl_shape *s, const sl_array *x, const sl_array *y, sl_cut *cut) noexcept nogil
        void (*logsumexp_part)(const sl_logsumexp *a, size_t begin, size_t end, const sl_part *part) noexcept nogil
        void (*softmax_part)(const sl_softmax *a, size_t begin, size_t end, const sl_part *part) noexcept nogil
        void (*cross_entropy_part)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_part *part,
                                   sl_sum *total) noexcept nogil
        void (*gather)(float *to, ptrdiff_t step, const char *from_, ptrdiff_t stride, size_t n, int storage,
                       ptrdiff_t ahead) noexcept nogil
        void (*scatter)(char *to, ptrdiff_t stride, const float *from_, ptrdiff_t step, size_t n, int storage,
                        ptrdiff_t ahead) noexcept nogil
        void (*probe_read)(const float *x, float *sum, size_t n, size_t times) noexcept nogil
        void (*probe_copy)(const float *x, float *y, size_t n, size_t times) noexcept nogil
        void (*probe_stream)(const float *x, float *y, size_t n, size_t times) noexcept nogil
        void (*probe_exp)(const float *x, float *sum, size_t n, size_t times) noexcept nogil

    ctypedef struct sl_ops_f64:
        void (*sigmoid)(const double *x, ptrdiff_t xs, double *y, ptrdiff_t ys, size_t n) noexcept nogil
        void (*log_sigmoid)(const double *x, ptrdiff_t xs, double *y, ptrdiff_t ys, double *dy, ptrdiff_t dys,
                            size_t n) noexcept nogil
        void (*softplus)(const double *x, ptrdiff_t xs, double *y, ptrdiff_t ys, size_t n) noexcept nogil
        void (*binary_cross_entropy)(const sl_binary_cross_entropy *a, size_t begin, size_t end,
                                     sl_sum *total) noexcept nogil
        void (*logsumexp)(const sl_logsumexp *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
        void (*softmax)(const sl_softmax *a, size_t begin, size_t end, const sl_memory *held) noexcept nogil
        void (*cross_entropy)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_memory *held,
                              sl_sum *total) noexcept nogil
        void (*cut_rows)(const sl_shape *s, const sl_array *x, const sl_array *y, sl_cut *cut) noexcept nogil
        void (*logsumexp_part)(const sl_logsumexp *a, size_t begin, size_t end, const sl_part *part) noexcept nogil
        void (*softmax_part)(const sl_softmax *a, size_t begin, size_t end, const sl_part *part) noexcept nogil
        void (*cross_entropy_part)(const sl_cross_entropy *a, size_t begin, size_t end, const sl_part *part,
                                   sl_sum *total) noexcept nogil
        void (*gather)(double *to, ptrdiff_t step, const char *from_, ptrdiff_t stride, size_t n, int storage,
                       ptrdiff_t ahead) noexcept nogil
        void (*scatter)(char *to, ptrdiff_t stride, const double *from_, ptrdiff_t step, size_t n, int storage,
                        ptrdiff_t ahead) noexcept nogil
        void (*probe_read)(const double *x, double *sum, size_t n, size_t times) noexcept nogil
        void (*probe_copy)(const double *x, double *y, size_t n, size_t times) noexcept nogil
        void (*probe_stream)(const double *x, double *y, size_t n, size_t times) noexcept nogil
        void (*probe_exp)(const double *x, double *sum, size_t n, size_t times) noexcept nogil

    ctypedef struct sl_backend:
        const char *name
        const sl_ops_f32 *f32
        const sl_ops_f64 *f64

    const sl_backend *sl_backend_at(int i)
    const sl_backend *sl_backend_named(const char *name)
    ptrdiff_t sl_scan_targets(const sl_cross_entropy *a, int weight_is_double, size_t begin, size_t end,
                              sl_sum *denominator, int64_t *bad_target)


cdef extern from "total.h" nogil:
    void sl_total_join(sl_sum *total, const sl_sum *part)
    double sl_total_value(const sl_sum *total)
    double sl_total_mean(const sl_sum *total, double count)
    double sl_share(double count)


cdef extern from "targets.h" nogil:
    double sl_sum_weights(const void *weight, int weight_is_double, size_t n)


cdef extern from "fpstate.h" nogil:
    ctypedef struct fp_state:
        pass

    fp_state fp_enter()
    void fp_leave(fp_state before)
