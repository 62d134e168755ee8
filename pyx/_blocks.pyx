"""The work of one call in blocks of rows or elements, which one thread or several take in turn."""

cimport cython
from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock, PyThread_type_lock,
    WAIT_LOCK,
)
from libc.stddef cimport ptrdiff_t

from simdloss.ops cimport sl_array, sl_shape, sl_sum, sl_total_join

from simdloss._threads import get_num_threads, recruit


cdef extern from *:
    size_t take_number "__atomic_fetch_add"(size_t *at, size_t step, int order) noexcept nogil
    size_t add "__atomic_add_fetch"(size_t *to, size_t step, int order) noexcept nogil
    # Else *seen becomes what it is.
    bint replace_if_same "__atomic_compare_exchange_n"(size_t *at, size_t *seen, size_t by, bint weak, int order,
                                                       int order_else) noexcept nogil
    int ORDERED "__ATOMIC_SEQ_CST"


cdef enum:
    # Elements of a block: so few that threads finish together, so many that taking one costs nothing.
    BLOCK = 1 << 15
    # Their sums are kept until all are there.
    MAX_BLOCKS = 1024
    # Rows that kernels compute side by side fill as many bytes of each column.
    BATCH_BYTES = 128
    # More than there are threads.
    CLOSED = 1 << 30
    # Columns up to which kernels take several rows together even where these lie one behind the other.
    SHORT = 1024

# In picoseconds, whole ones so that the caller's floating-point flags stay: a row beside its elements; what a call must
# take to be shared, and what each thread must get of it, since waking one takes tens of microseconds.
cdef size_t ROW = 5_000
cdef size_t WORTH_SHARING = 500_000_000
cdef size_t SHARE = 100_000_000


# Cuts n elements or rows into blocks of `size` or, to keep their number down, of a multiple of it.
cdef int run_blocks(Block block, void *call, size_t n, size_t size, size_t ps, sl_sum *total) except -1:
    size *= 1 + (n - 1) // (size * MAX_BLOCKS)
    cdef size_t blocks = 1 + (n - 1) // size
    cdef size_t threads = 1
    cdef _Team team
    if ps >= WORTH_SHARING:
        threads = min(<size_t> get_num_threads(), blocks, ps // SHARE)
    if threads == 1:
        with nogil:
            run_in_order(block, call, n, size, blocks, total)
    else:
        team = _Team.__new__(_Team)
        team.block, team.call, team.n, team.size, team.blocks = block, call, n, size, blocks
        team.run(threads - 1)
        team.join_sums(total)
    return 0


cdef int run_many_elements(Block block, void *call, size_t n, bint is_double, size_t ps, sl_sum *total) except -1:
    return run_blocks(block, call, n, BLOCK, (ps + ps * is_double) * n, total)


cdef int run_many_rows(Block block, void *call, const sl_shape *shape, const sl_array *x, bint is_double, size_t ps,
                       sl_sum *total) except -1:
    cdef size_t unit = rows_together(shape, x, is_double)
    cdef size_t size = unit * (1 + (BLOCK - 1) // (unit * shape.cols))
    cdef size_t row = ROW + (ps + ps * is_double) * shape.cols
    return run_blocks(block, call, shape.rows, size, row * shape.rows, total)


# Rows that a block holds a multiple of, so that no batch of a kernel is cut.
cdef size_t rows_together(const sl_shape *shape, const sl_array *x, bint is_double) noexcept:
    cdef ptrdiff_t element = 8 if is_double else 4
    cdef bint rows_are_neighbours = shape.row_dims > 0 and abs(x.row[shape.row_dims - 1]) <= element
    if shape.cols <= SHORT or rows_are_neighbours:
        return BATCH_BYTES // element
    return 1


cdef inline void run_block(Block block, void *call, size_t n, size_t size, size_t i, sl_sum *sum) noexcept nogil:
    block(call, i * size, min(n, (i + 1) * size), sum)


# As with threads each block has a sum of its own, so that totals are the same bytes.
cdef void run_in_order(Block block, void *call, size_t n, size_t size, size_t blocks, sl_sum *total) noexcept nogil:
    cdef size_t i
    cdef sl_sum sum
    for i in range(blocks):
        sum.sum = sum.rest = 0
        run_block(block, call, n, size, i, &sum)
        if total != NULL:
            sl_total_join(total, &sum)


# The thread of a call and those that help it: each takes the next block until none is left. Helpers that arrive after
# that find the team closed, and nobody waits for them, so a pool that is busy elsewhere holds no call up. The others
# leave without the GIL, lest a call end only when other Python code lets go of that.
@cython.final
@cython.auto_pickle(False)
cdef class _Team:
    cdef Block block
    cdef void *call
    cdef size_t n, size, blocks, taken
    cdef sl_sum sums[MAX_BLOCKS]
    cdef size_t state  # helpers inside, and CLOSED
    cdef PyThread_type_lock empty

    def __cinit__(self):
        self.empty = PyThread_allocate_lock()
        if self.empty == NULL:
            raise MemoryError("no lock for a call in several threads")
        PyThread_acquire_lock(self.empty, WAIT_LOCK)

    def __dealloc__(self):
        if self.empty != NULL:
            PyThread_free_lock(self.empty)

    cdef int run(self, size_t helpers) except -1:
        try:
            recruit(self, helpers)
        except BaseException:
            # Such as KeyboardInterrupt. Helpers that are inside use the caller's stack.
            take_number(&self.taken, self.blocks, ORDERED)
            with nogil:
                self.close()
            raise
        with nogil:
            self.take_blocks()
            self.close()
        return 0

    # In a thread of the pool.
    def __call__(self):
        with nogil:
            if self.enter():
                self.take_blocks()
                self.leave()

    cdef void take_blocks(self) noexcept nogil:
        cdef size_t i = take_number(&self.taken, 1, ORDERED)
        while i < self.blocks:
            run_block(self.block, self.call, self.n, self.size, i, &self.sums[i])
            i = take_number(&self.taken, 1, ORDERED)

    cdef bint enter(self) noexcept nogil:
        cdef size_t seen = 0
        while not replace_if_same(&self.state, &seen, seen + 1, False, ORDERED, ORDERED):
            if seen & CLOSED:
                return False
        return True

    cdef void leave(self) noexcept nogil:
        if add(&self.state, <size_t> -1, ORDERED) == CLOSED:
            PyThread_release_lock(self.empty)

    cdef void close(self) noexcept nogil:
        if add(&self.state, CLOSED, ORDERED) != CLOSED:
            PyThread_acquire_lock(self.empty, WAIT_LOCK)

    cdef void join_sums(self, sl_sum *total) noexcept:
        cdef size_t i
        if total != NULL:
            for i in range(self.blocks):
                sl_total_join(total, &self.sums[i])
