"""The same bytes from every instruction set with fma, at any alignment, and from any batch that a row stands in."""

import calls
import numpy as np
import pytest
from calls import CALLS, assert_same_bytes
from routines import HAVE_FMA

import simdloss

every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
CLASSES = (*range(1, 74), 102, 103, 127, 128, 129, 200, 201, 256, 257, 1000, 4095, 4096, 4097, 50257)


@pytest.fixture
def restore_isa():
    before = simdloss.get_isa()
    yield
    simdloss.use_isa(before)


def cases(classes):
    """(kind of data, shape, axis), more and fewer rows than lanes; neighbouring class counts take turns."""
    rows = 37 if classes <= 70 else 3
    yield "odd", (rows, classes), -1
    yield ("plain", "large")[classes % 2], (rows, classes), -1
    yield [("odd", (rows, classes), 0), ("plain", (2, rows // 2 + 1, classes), 1)][classes // 2 % 2]


@every_call
def test_instruction_sets(dtype, call, restore_isa):
    """SIMDLOSS_ISA does not narrow this down: what it forces must agree with the others too."""
    best, *others = [isa for isa in simdloss.isas() if isa in HAVE_FMA] or simdloss.isas()
    for classes in CLASSES:
        for kind, shape, axis in cases(classes):
            given = calls.with_axis(calls.data(shape, dtype, kind), axis)
            simdloss.use_isa(best)
            wanted = call.run(given, axis)
            for isa in others or [best]:
                simdloss.use_isa(isa)
                assert_same_bytes(call.run(given, axis), wanted, f"{isa}, {best}: {kind} {shape}, axis {axis}")


def placed(array, offset):
    """A copy that begins so many bytes behind an address divisible by 128."""
    holder = np.zeros(array.nbytes + 256, np.uint8)
    start = -holder.ctypes.data % 128 + offset
    copy = holder[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


@every_call
def test_alignment(isa, dtype, call):
    """Inputs and outputs at every element of two cache lines, and at odd addresses; each array at another one."""
    size = np.dtype(dtype).itemsize
    for shape in ((3, 5), (70, 3), (33, 10), (5, 33), (4, 129), (2, 1000), (2, 4097)):
        given = {name: array for name, array in calls.data(shape, dtype, "odd").items() if name in call.uses}
        wanted = call.run(given)
        for offset in (*(size * i for i in range(16)), 1, size + 3):
            moved = {name: placed(array, (1 + 2 * i) * offset % 128) for i, (name, array) in enumerate(given.items())}
            outs = {
                name: placed(np.full_like(result, 7), 5 * offset % 128)
                for name, result in zip(call.results, wanted, strict=True)
                if name
            }
            found = call.run(moved, **outs)
            assert_same_bytes(found, wanted, f"{shape} at {offset} bytes")
            for name, result in zip(call.results, found, strict=True):
                assert name is None or result is outs[name]


def rows_of(given, chosen):
    """The same arguments for some of the rows; what belongs to classes stays."""
    return {name: array if name == "weight" else array[chosen] for name, array in given.items()}


BATCH = 70


@pytest.mark.parametrize("call", [call for call in CALLS if call.by_row], ids=lambda call: call.name)
def test_batches(isa, dtype, call):
    """Every row alone, among three, and at each place of a larger batch, its neighbours being rows of every kind."""
    for classes in (1, 2, 3, 10, 32, 33, 128, 129, 1000, 4097):
        given = calls.data((BATCH, classes), dtype, "odd")
        given = {name: given[name] for name in call.uses}
        wanted = call.run(given)
        some = range(0, BATCH, 1 if classes in (10, 33) else 9)
        batches = [slice(i, i + 1) for i in some] + [slice(i, i + 3) for i in range(0, BATCH, 3)]
        batches += [np.roll(np.arange(BATCH), i) for i in some]
        for chosen in batches:
            found = call.run(rows_of(given, chosen))
            assert_same_bytes(found, [result[chosen] for result in wanted], f"{classes} classes, rows {chosen}")


@pytest.mark.parametrize("call", [call for call in CALLS if call.by_row], ids=lambda call: call.name)
def test_batches_of_columns(isa, dtype, call):
    """Likewise with the class axis first: views of one column and of three, beside all of them."""
    for classes in (1, 3, 32, 33, 129, 1000):
        given = calls.data((BATCH, classes), dtype, "odd")
        given = calls.with_axis({name: given[name] for name in call.uses}, 0)
        wanted = call.run(given, 0)
        for first in range(0, BATCH, 9):
            for count in (1, 3):
                chosen = slice(first, first + count)
                found = call.run({name: a if name == "weight" else a[..., chosen] for name, a in given.items()}, 0)
                assert_same_bytes(found, [result[..., chosen] for result in wanted], f"{classes} classes, {chosen}")


@pytest.mark.parametrize("call", [call for call in CALLS if call.by_element], ids=lambda call: call.name)
def test_places_in_an_array(isa, dtype, call):
    """An element gives the same alone, at every place of a vector and in the tail."""
    for kind in ("plain", "odd"):
        given = calls.data((1500,), dtype, kind)
        given = {name: given[name] for name in call.uses}
        wanted = call.run(given)
        for start in (*range(34), 511, 512, 513):
            for length in (1, 3, 17, 600):
                chosen = slice(start, start + length)
                found = call.run({name: array[chosen] for name, array in given.items()})
                assert_same_bytes(found, [result[chosen] for result in wanted], f"{kind} elements {chosen}")


def test_comparison_sees_one_bit():
    one = np.ones((3, 4), np.float32)
    other = one.copy()
    other[1, 2] = np.nextafter(np.float32(1), np.float32(2))
    assert_same_bytes([one], [one.copy()], "equal")
    with pytest.raises(AssertionError, match=r"1 elements, first at \(1, 2\)"):
        assert_same_bytes([one], [other], "unequal")
    with pytest.raises(AssertionError, match="differs"):
        assert_same_bytes([np.array(0.0)], [np.array(-0.0)], "zeros")
