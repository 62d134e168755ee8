"""The same bytes from any number of threads, for every routine and option."""

import calls
import pytest
from calls import CALLS, assert_same_bytes

import simdloss

COUNTS = (2, 3, 4, 7)
# (shape, axis): short rows, columns and long rows, so many that these numbers of threads find work.
CASES = [((150_007, 10), -1), ((1_601, 1000), 0), ((31, 50_257), -1)]


@pytest.mark.parametrize("place", range(len(CALLS)), ids=[call.name for call in CALLS])
def test_numbers_of_threads(dtype, place):
    """The calls take turns with the shapes; `test_same_bytes.py` tries every call on every kind of shape."""
    call = CALLS[place]
    shape, axis = CASES[place % len(CASES)]
    given = calls.with_axis(calls.data(shape, dtype, "odd"), axis)
    with simdloss.num_threads(1):
        wanted = call.run(given, axis)
    for count in COUNTS:
        with simdloss.num_threads(count):
            found = call.run(given, axis)
        assert_same_bytes(found, wanted, f"{count} threads: {shape}, axis {axis}")


def test_parts_of_a_batch(dtype):
    """Rows do not notice which others their thread has: any slice gives the bytes that all of them do."""
    given = calls.data(CASES[0][0], dtype, "odd")
    for call in CALLS:
        if call.by_row:
            mine = {name: given[name] for name in call.uses}
            with simdloss.num_threads(4):
                wanted = call.run(mine)
            for chosen in (slice(7, 50_021), slice(149_990, None)):
                found = call.run({name: a if name == "weight" else a[chosen] for name, a in mine.items()})
                assert_same_bytes(found, [result[chosen] for result in wanted], f"{call.name}, rows {chosen}")
