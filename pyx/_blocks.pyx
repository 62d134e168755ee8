"""The work of one call in blocks of rows or elements, which one thread or several take in turn."""

cimport cython
from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock, PyThread_type_lock,
    WAIT_LOCK,
)
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc

from simdloss._dispatch cimport active
from simdloss.ops cimport (
    SL_OUTPUT, SL_ROWS, SL_SEGMENT_BYTES, SL_SEGMENTS, SL_SUM, sl_cut, sl_memory, sl_part, sl_step, sl_sum,
    sl_total_join,
)

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
    # Blocks a thread, up to which rows are cut: the more there are, the more evenly they can be shared as they are.
    FEW = 4
    # Bytes, of what rows hold and of the sums of long rows; what all threads of a call may hold, so that three of them
    # stay below 1 MB with their stacks (test_memory_use.py).
    ALIGNMENT = 64
    MOST_HELD = 7 << 16
    # More than there are threads.
    CLOSED = 1 << 30

# In picoseconds, whole ones so that the caller's floating-point flags stay: a row beside its elements; what a call must
# take to be shared, and what each thread must get of it, since waking one takes tens of microseconds.
cdef size_t ROW = 5_000
cdef size_t WORTH_SHARING = 500_000_000
cdef size_t SHARE = 100_000_000


# As many as pay for a call of so many parts.
cdef size_t threads_for(size_t ps, size_t parts) except 0:
    return 1 if ps < WORTH_SHARING else min(<size_t> get_num_threads(), parts, ps // SHARE)


# Cuts n elements or rows into blocks of `size` or, to keep their number down, of a multiple of it.
cdef int run_blocks(Block block, void *call, size_t n, size_t size, size_t ps, sl_sum *total) except -1:
    size *= 1 + (n - 1) // (size * MAX_BLOCKS)
    cdef size_t blocks = 1 + (n - 1) // size
    cdef size_t threads = threads_for(ps, blocks)
    cdef _Team team
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


cdef int run_many_rows(const Rows *rows, void *call, bint is_double, size_t ps, sl_sum *total) except -1:
    cdef size_t n = rows.shape.rows, cols = rows.shape.cols
    cdef size_t all_ps = (ROW + (ps + ps * is_double) * cols) * n
    cdef sl_cut cut
    cdef Whole whole
    if is_double:
        active.f64.cut_rows(rows.shape, rows.x, rows.y, &cut)
    else:
        active.f32.cut_rows(rows.shape, rows.x, rows.y, &cut)
    cdef size_t batches = 1 + (n - 1) // cut.together
    cdef size_t threads = threads_for(all_ps, batches * cut.segments)
    if cut.segments > 1 and rows.part != NULL and 1 < threads and batches < threads * FEW and batches <= MAX_BLOCKS:
        return run_segments(rows, call, &cut, all_ps, total)
    whole.block, whole.call, whole.held = rows.block, call, min(cut.held, MOST_HELD // threads)
    return run_blocks(whole_block, &whole, n, cut.together * (1 + (BLOCK - 1) // (cut.together * cols)), all_ps, total)


# Rows that are not cut, and how much memory a block of them may hold. For want of it they only take longer.
ctypedef struct Whole:
    RowBlock block
    void *call
    size_t held


cdef void whole_block(void *given, size_t begin, size_t end, sl_sum *total) noexcept nogil:
    call = <const Whole *> given
    cdef sl_memory held
    cdef char *memory = NULL
    held.p, held.size = NULL, 0
    if call.held:
        memory = <char *> PyMem_RawMalloc(call.held + ALIGNMENT)
    if memory != NULL:
        held.p, held.size = aligned(memory), call.held
    call.block(call.call, begin, end, &held, total)
    PyMem_RawFree(memory)


# Within `memory`, which is ALIGNMENT longer than asked for.
cdef char *aligned(char *memory) noexcept nogil:
    return memory + (ALIGNMENT - <size_t> memory % ALIGNMENT)


# Segments of a few batches, as run_in_order has each of these a block of its own.
ctypedef struct Segments:
    Part part
    void *call
    size_t rows, together, segments
    size_t first  # batch
    sl_step step
    char *sums


cdef int run_segments(const Rows *rows, void *call, const sl_cut *cut, size_t ps, sl_sum *total) except -1:
    cdef Segments s
    cdef size_t segments = cut.segments
    cdef size_t i, count, batches = 1 + (rows.shape.rows - 1) // cut.together
    cdef size_t group = min(batches, 1 + (SL_SEGMENTS - 1) // segments)
    cdef sl_sum sum
    s.part, s.call, s.rows, s.together, s.segments = rows.part, call, rows.shape.rows, cut.together, segments
    cdef char *memory = <char *> PyMem_RawMalloc(group * (segments + 1) * SL_SEGMENT_BYTES + ALIGNMENT)
    if memory == NULL:
        raise MemoryError("no memory for the sums of long rows")
    s.sums = aligned(memory)
    try:
        s.first = 0
        while s.first < batches:
            count = min(group, batches - s.first)
            s.step = SL_SUM
            run_blocks(segments_block, &s, count * segments, 1, ps * count // batches, NULL)
            s.step = SL_ROWS
            with nogil:
                for i in range(count):
                    sum.sum = sum.rest = 0
                    run_part(&s, i, 0, &sum)
                    if total != NULL:
                        sl_total_join(total, &sum)
            s.step = SL_OUTPUT
            if rows.y.p != NULL:
                run_blocks(segments_block, &s, count * segments, 1, ps * count // batches, NULL)
            s.first += count
    finally:
        PyMem_RawFree(memory)
    return 0


cdef void segments_block(void *call, size_t begin, size_t end, sl_sum *unused) noexcept nogil:
    cdef Segments *s = <Segments *> call
    cdef size_t i
    for i in range(begin, end):
        run_part(s, i // s.segments, i % s.segments, NULL)


cdef void run_part(const Segments *s, size_t batch, size_t segment, sl_sum *sum) noexcept nogil:
    cdef sl_part part
    cdef size_t begin = (s.first + batch) * s.together
    part.step = s.step
    part.segment = segment
    part.sums = s.sums + batch * (s.segments + 1) * SL_SEGMENT_BYTES
    s.part(s.call, begin, min(s.rows, begin + s.together), &part, sum)


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
