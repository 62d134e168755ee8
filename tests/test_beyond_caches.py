"""Outputs that no cache holds, with the class axis first or in the middle: they are written past the caches.

A few hundred rows, which are checked, are repeated until there are enough. Those, too, have the class axis first: where
it is last, sums may be added up in another order.
"""

from math import prod

import numpy as np
import pytest
import rowwise

import simdloss

BYTES = 17 << 20
ROWS = 499
ROUTINES = [routine for routine in rowwise.ROW_ROUTINES if "elements" in routine.results]

# Dimensions after the class axis, of which the first one or, before images, the one in front grows; and how many
# elements of the last one are used.
LAYOUTS = {
    "first": ((4096,), 4096),
    "first, odd": ((4099,), 4099),
    "images": ((64, 96), 96),
    "odd images": ((61, 67), 67),
    "windows": ((64, 96), 91),
}


def few_rows(classes, dtype):
    rows = rowwise.data((ROWS, classes), dtype, seed=classes)
    return rows | {"logits": np.asfortranarray(rows["logits"])}


class Memory:
    """An array for (*pixels, classes) with the class axis in another place, beginning `start` elements off a line."""

    def __init__(self, layout, classes, dtype, start):
        after, used = LAYOUTS[layout]
        self.axis = len(after) - 1
        count = -(-BYTES // (np.dtype(dtype).itemsize * classes * prod(after)))
        shape = (count, classes, *after) if self.axis else (classes, count * after[0])
        self.whole = np.full(prod(shape) + 64, 7, dtype)
        first = -self.whole.ctypes.data % 64 // self.whole.itemsize + start
        self.array = self.whole[first : first + prod(shape)].reshape(shape)
        if used < after[-1]:
            self.array = self.array[..., :used]
        self.last = np.moveaxis(self.array, self.axis, -1)

    def fill(self, value):
        self.last[...] = value
        return self

    def is_untouched_elsewhere(self):
        self.fill(7)
        return (self.whole == 7).all()


@pytest.mark.parametrize("classes", [3, 21, 130])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("routine", ROUTINES, ids=lambda routine: routine.name)
def test_beyond_caches(isa, dtype, routine, layout, classes):
    rows = few_rows(classes, dtype)
    small = rowwise.as_tuple(routine.run(*rowwise.given(routine, rows), axis=-1))
    for found, exact in zip(small, rowwise.expected(routine, rows), strict=True):
        exact.check(found, routine.name)

    x, out = Memory(layout, classes, dtype, 4), Memory(layout, classes, dtype, 5 if "odd" in layout else 0)
    number = np.resize(np.arange(ROWS), x.last.shape[:-1])
    others = [rows[name][number] for name in routine.needs]
    given = [np.moveaxis(a, -1, x.axis) if a.ndim == x.last.ndim else a for a in others]
    wanted = [a[number] for a in small]

    def check(logits, output, threads):
        with simdloss.num_threads(threads):
            found = rowwise.as_tuple(routine.run(logits, *given, axis=x.axis, **{routine.outputs[-1]: output.array}))
        for i, (a, b) in enumerate(zip(found, wanted, strict=True)):
            a = output.last if i == len(found) - 1 else a
            assert a.tobytes() == b.tobytes(), f"output {i}, {threads} threads"

    check(x.fill(rows["logits"][number]).array, out, 1)
    check(x.array, out, 3)
    check(x.array, x, 1)
    assert x.is_untouched_elsewhere()
    assert out.is_untouched_elsewhere()


def test_ignored_pixels_beyond_caches(isa, dtype):
    """One by one, and so many together that whole batches are left out."""
    classes = 21
    rows = few_rows(classes, dtype)
    loss, grad = simdloss.cross_entropy_and_grad(rows["logits"], rows["target"], reduction="none")
    x, out = Memory("images", classes, dtype, 4), Memory("images", classes, dtype, 0)
    number = np.resize(np.arange(ROWS), x.last.shape[:-1])
    for kept in (number % 7 != 0, number // 32 % 3 != 0, np.arange(number.size).reshape(number.shape) % 1000 < 300):
        found, _ = simdloss.cross_entropy_and_grad(
            x.fill(rows["logits"][number]).array,
            np.where(kept, rows["target"][number], -100),
            axis=1,
            reduction="none",
            grad_out=out.fill(7).array,
        )
        np.testing.assert_array_equal(found, np.where(kept, loss[number], 0))
        np.testing.assert_array_equal(out.last, np.where(kept[..., None], grad[number], 0))
