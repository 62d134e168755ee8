# The work of one call in blocks of rows or elements, which one thread or several take in turn.
from simdloss.ops cimport sl_array, sl_part, sl_shape, sl_sum

cdef enum:
    # Elements from which letting other threads run is worth its price.
    MANY = 10000

# Computes rows or elements [begin, end) of a call, and adds what is summed over them, if anything, to *total.
ctypedef void (*Block)(void *call, size_t begin, size_t end, sl_sum *total) noexcept nogil

# One step of rows that are long enough to be cut; *total is for what the step SL_ROWS sums.
ctypedef void (*Part)(void *call, size_t begin, size_t end, const sl_part *part, sl_sum *total) noexcept nogil

# What computes rows. Without `part` none is cut; without `output` the step SL_OUTPUT has nothing to do.
ctypedef struct Rows:
    Block block
    Part part
    bint output

# `ps`: about how many picoseconds an element takes in float32; it decides whether threads pay, never what is computed.
cdef int run_many_elements(Block block, void *call, size_t n, bint is_double, size_t ps, sl_sum *total) except -1
cdef int run_many_rows(Rows rows, void *call, const sl_shape *shape, const sl_array *x, bint is_double, size_t ps,
                       sl_sum *total) except -1


cdef inline int run_elements(Block block, void *call, size_t n, bint is_double, size_t ps, sl_sum *total) except -1:
    if n < MANY:
        block(call, 0, n, total)
        return 0
    return run_many_elements(block, call, n, is_double, ps, total)


# x: the operand that has the rows' columns.
cdef inline int run_rows(Rows rows, void *call, const sl_shape *shape, const sl_array *x, bint is_double, size_t ps,
                         sl_sum *total) except -1:
    if shape.rows * shape.cols < MANY:
        rows.block(call, 0, shape.rows, total)
        return 0
    return run_many_rows(rows, call, shape, x, is_double, ps, total)
