# The work of one call in blocks of rows or elements, which one thread or several take in turn.
from simdloss.ops cimport sl_array, sl_memory, sl_part, sl_shape, sl_sum

cdef enum:
    # Elements from which letting other threads run is worth its price.
    MANY = 10000
    # Columns up to which rows along memory are a single tile, of either dtype, and hold nothing.
    SINGLE_TILE = 2048

# Computes rows or elements [begin, end) of a call, and adds what is summed over them, if anything, to *total.
ctypedef void (*Block)(void *call, size_t begin, size_t end, sl_sum *total) noexcept nogil

# The same of rows, with memory that makes some of them faster.
ctypedef void (*RowBlock)(void *call, size_t begin, size_t end, const sl_memory *held, sl_sum *total) noexcept nogil

# One step of rows that are long enough to be cut; *total is for what the step SL_ROWS sums.
ctypedef void (*Part)(void *call, size_t begin, size_t end, const sl_part *part, sl_sum *total) noexcept nogil

# What computes rows of x; outputs of their size go to y, p NULL where there are none. Without `part` none is cut.
ctypedef struct Rows:
    RowBlock block
    Part part
    const sl_shape *shape
    const sl_array *x
    const sl_array *y

# `ps`: about how many picoseconds an element takes in float32; it decides whether threads pay, never what is computed.
cdef int run_many_elements(Block block, void *call, size_t n, bint is_double, size_t ps, sl_sum *total) except -1
cdef int run_many_rows(const Rows *rows, void *call, bint is_double, size_t ps, sl_sum *total) except -1


cdef inline int run_elements(Block block, void *call, size_t n, bint is_double, size_t ps, sl_sum *total) except -1:
    if n < MANY:
        block(call, 0, n, total)
        return 0
    return run_many_elements(block, call, n, is_double, ps, total)


cdef inline int run_rows(const Rows *rows, void *call, bint is_double, size_t ps, sl_sum *total) except -1:
    if rows.shape.rows == 0:
        return 0
    if rows.shape.rows * rows.shape.cols < MANY and rows.shape.cols <= SINGLE_TILE:
        rows.block(call, 0, rows.shape.rows, NULL, total)
        return 0
    return run_many_rows(rows, call, is_double, ps, total)
