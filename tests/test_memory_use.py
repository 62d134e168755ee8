"""Nothing of the logits' size is made but the gradient, whatever the layout; and arrays may be very large."""

import ctypes
import math
import mmap
import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from layouts import LAYOUTS

import simdloss

ROWS, CLASSES = 4000, 500
SIZE = ROWS * CLASSES
SMALL = 600_000  # bytes: a bounded scratch, or one number per row; the logits take thirteen times as much


def peak(call):
    """Bytes that one call holds at its worst, beyond what was there before."""
    call()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        kept = call()  # noqa: F841 - the results count as well
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def calls(x, out):
    target = np.arange(ROWS) % CLASSES
    soft = np.broadcast_to(np.float32(1 / CLASSES), x.shape)
    return {
        "logsumexp": lambda: simdloss.logsumexp(x, axis=-1),
        "logsumexp_all": lambda: simdloss.logsumexp(x),
        "softmax": lambda: simdloss.softmax(x, out=out),
        "log_softmax": lambda: simdloss.log_softmax(x, out=out),
        "softmax_all": lambda: simdloss.softmax(x, axis=None, out=out),
        "cross_entropy": lambda: simdloss.cross_entropy(x, target),
        "cross_entropy.soft": lambda: simdloss.cross_entropy(x, soft),
        "cross_entropy_and_grad": lambda: simdloss.cross_entropy_and_grad(x, target, grad_out=out),
        "cross_entropy_and_grad.options": lambda: simdloss.cross_entropy_and_grad(
            x, target, grad_out=out, label_smoothing=0.1, weight=np.ones(CLASSES, x.dtype), reduction="none"
        ),
        "sigmoid": lambda: simdloss.sigmoid(x, out=out),
        "binary_cross_entropy": lambda: simdloss.binary_cross_entropy_with_logits(x, soft),
        "binary_cross_entropy_and_grad": lambda: simdloss.binary_cross_entropy_with_logits_and_grad(
            x, soft, grad_out=out
        ),
    }


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", calls(np.zeros((ROWS, 1)), None))
def test_no_copy_of_the_logits(isa, name, layout):
    x = LAYOUTS[layout](np.zeros((ROWS, CLASSES), np.float32))
    for n in (1, 3):
        with simdloss.num_threads(n):
            assert peak(calls(x, np.empty_like(x, dtype=np.float32))[name]) < SMALL


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_gradient_is_the_only_allocation(isa, kind):
    x, target = np.zeros((ROWS, CLASSES), kind), np.zeros(ROWS, int)
    for function in (
        lambda: simdloss.cross_entropy_and_grad(x, target),
        lambda: simdloss.logsumexp_and_grad(x),
        lambda: simdloss.softmax(x),
        lambda: simdloss.binary_cross_entropy_with_logits_and_grad(x, x),
        lambda: simdloss.log_sigmoid(x),
    ):
        assert peak(function) < x.nbytes + SMALL


@pytest.mark.parametrize("kind", ["i4", ">i8", "u1", "i2", ">u2", "u4", "u8"])
def test_targets_without_a_copy_of_the_logits(kind):
    x, target = np.zeros((ROWS, CLASSES), np.float32), np.zeros(ROWS, kind)
    assert peak(lambda: simdloss.cross_entropy(x, target)) < SMALL


RESIDENT = """
import re
import numpy as np
import simdloss

def most():
    return int(re.search("VmHWM:(.*)kB", open("/proc/self/status").read())[1])

"""

MANY_ROWS = """
x, size = np.ones((1_000_000, 10), np.float32), 100_000
out, rows = np.ones_like(x), np.ones(len(x), np.float32)
target, wide, mask = np.ones(len(x), np.uint8), np.ones(len(x), np.uint64), x > 0
half = np.ones_like(x, np.float16)

def calls(n):
    a, b, r, t = x[:n], out[:n], rows[:n], target[:n]
    simdloss.log_sigmoid(a, out=b)
    simdloss.sigmoid(a[:, ::-1], out=b)
    simdloss.logsumexp(a, axis=1, out=r)
    simdloss.softmax(a, out=b)
    simdloss.log_softmax(a.T, axis=0, out=b.T)
    simdloss.cross_entropy_and_grad(a, t, grad_out=b)
    simdloss.cross_entropy_and_grad(a, wide[:n], grad_out=b, reduction="none", out=r, weight=x[0])
    simdloss.cross_entropy_and_grad(a, a, grad_out=b, label_smoothing=0.1)
    simdloss.binary_cross_entropy_with_logits_and_grad(a, mask[:n], pos_weight=x[0], grad_out=b)
    simdloss.binary_cross_entropy_with_logits_and_grad(half[:n], a, grad_out=half[:n])

simdloss.set_num_threads(THREADS)
calls(size)
before = most()
calls(len(x))
print(most() - before)
"""


LONG_ROWS = """
ones, shape = np.ones((18, 600_000)), (18, 300_000)
layouts = [(np.ones(shape, np.float16), np.ones(shape, np.float16)), (ones[:, ::2], np.ones_like(ones)[:, ::2])]
layouts += [(np.ones(shape, order="F"), np.ones(shape, order="F"))]
target = np.zeros(len(ones), int)

def calls(n):
    for x, out in layouts:
        simdloss.softmax(x[:, :n], out=out[:, :n])
        simdloss.log_softmax(x[:, :n], out=out[:, :n])
        simdloss.cross_entropy_and_grad(x[:, :n], target, grad_out=out[:, :n])

simdloss.set_num_threads(THREADS)
calls(10_000)
before = most()
calls(shape[1])
print(most() - before)
"""


def resident(code, threads):
    """KB that the process of that code holds at its worst from the larger calls, beyond what it held before."""
    code = RESIDENT + code.replace("THREADS", str(threads))
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("threads", [1, 3])
def test_resident_memory(threads):
    """From 1 to 10 million elements, nothing more is in memory at once than the arrays given."""
    assert resident(MANY_ROWS, threads) < 1024


@pytest.mark.parametrize("threads", [1, 3])
def test_resident_memory_of_long_rows(threads):
    """Tiles that have no place in memory of their own are kept, but not more than a bounded number of them."""
    assert resident(LONG_ROWS, threads) < 1024


class Repeated:
    """A very large array over a small memory: the same pages mapped again and again, one behind the other."""

    BLOCK = 2**26
    MAP_SHARED, MAP_FIXED, MAP_NORESERVE = 0x01, 0x10, 0x4000

    def __init__(self, count, dtype):
        size = -(-count * np.dtype(dtype).itemsize // self.BLOCK) * self.BLOCK
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | self.MAP_NORESERVE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        file = os.memfd_create("repeated")
        os.ftruncate(file, self.BLOCK)
        for offset in range(0, size, self.BLOCK):
            flags = self.MAP_FIXED | self.MAP_SHARED
            found = libc.mmap(begin + offset, self.BLOCK, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, 0)
            assert found == begin + offset, os.strerror(ctypes.get_errno())
        os.close(file)
        self.array = np.ndarray(count, dtype, self._map)
        self.period = self.BLOCK // np.dtype(dtype).itemsize


COUNT = 2**31 + 64 * 50257  # more elements than a signed 32-bit number counts


def test_more_than_two_billion_elements():
    """On the best instruction set alone: what could overflow are the lengths, which all of them share."""
    x, out = Repeated(COUNT, np.float32), Repeated(COUNT, np.float32)
    x.array[: x.period] = np.resize(np.linspace(-9, 9, 1001, dtype=np.float32), x.period)
    want = simdloss.sigmoid(x.array[: x.period])
    simdloss.sigmoid(x.array, out=out.array)
    np.testing.assert_array_equal(out.array[: x.period], want)
    assert simdloss.logsumexp(x.array) == pytest.approx(
        math.log(COUNT / x.period) + float(simdloss.logsumexp(x.array[: x.period].astype(float))), rel=1e-6
    )
    rows = x.array[: COUNT // 50257 * 50257].reshape(-1, 50257)
    target = np.zeros(len(rows), np.int32)
    loss, grad = simdloss.cross_entropy_and_grad(
        rows, target, reduction="none", grad_out=out.array[: rows.size].reshape(rows.shape)
    )
    last, last_grad = simdloss.cross_entropy_and_grad(rows[-1], 0, reduction="none")
    assert loss[-1] == last
    np.testing.assert_allclose(grad[-1], last_grad, rtol=1e-6)
    mean = simdloss.cross_entropy(rows, target)
    assert mean == pytest.approx(loss.mean(dtype=float), rel=1e-7)
