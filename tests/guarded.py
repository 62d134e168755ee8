"""Runs one routine on arrays that end or begin at a page which faults on any access. Run by test_memory_safety.py.

    python guarded.py ISA DTYPE ROUTINE CASE_FILE

It dies of a segmentation fault where a kernel leaves its buffers; CASE_FILE then holds the case it died in.
"""

import ctypes
import mmap
import sys

import numpy as np
import rowwise
from numpy.lib.stride_tricks import as_strided

import simdloss

PAGE = mmap.PAGESIZE
PROT_NONE = 0
LENGTHS = range(301)
LONG = (1000, 4095, 4096, 4097, 5000, 9001)
IGNORED = -100  # the only target where there are no classes


class Fence:
    """Pages for the arrays of one operand, with a forbidden page in front and behind."""

    def __init__(self, size):
        self._size = -(-size // PAGE) * PAGE
        self._map = mmap.mmap(-1, self._size + 2 * PAGE)
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (begin, begin + PAGE + self._size):
            if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, value, where, order="C", slack=0):
        """A copy of `value` that begins right behind the first forbidden page or ends right before the second."""
        value = np.asarray(value)
        offset = PAGE + (slack if where == "begin" else self._size - value.nbytes - slack)
        assert PAGE <= offset <= PAGE + self._size - value.nbytes
        array = np.ndarray(value.shape, value.dtype, self._map, offset, order=order)
        array[...] = value
        return array


def reversed_place(fence, value, where):
    """Negative strides: the first element is the last in memory."""
    flip = (slice(None, None, -1),) * value.ndim
    return fence.place(value[flip], where)[flip]


def stepped_place(fence, value, where):
    """Every other element, the outermost ones still at the fence."""
    if value.size == 0:
        return fence.place(value, where)
    memory = fence.place(np.repeat(value, 2)[:-1], where)
    return as_strided(memory, value.shape, [2 * stride for stride in np.ascontiguousarray(value).strides])


PLACINGS = {
    "C": lambda fence, value, where: fence.place(value, where),
    "F": lambda fence, value, where: fence.place(value, where, "F"),
    "reversed": reversed_place,
    "stepped": stepped_place,
    "odd address": lambda fence, value, where: fence.place(value, where, slack=1),
    "swapped": lambda fence, value, where: fence.place(value.astype(value.dtype.newbyteorder()), where),
}
OTHERS = [name for name in PLACINGS if name != "C"]
OUTPUT_PLACINGS = ("C", "F", "reversed", "stepped", "odd address")


class Operands:
    """One fenced area per operand, and the note of what is being tried."""

    def __init__(self, case_file):
        self._fences = {}
        self._note = mmap.mmap(case_file.fileno(), PAGE)
        self._turn = 0

    def fence(self, name, size=2**20):
        return self._fences.setdefault(name, Fence(size))

    def note(self, *case):
        text = " ".join(map(str, case)).encode()[: PAGE - 1]
        self._note[: len(text) + 1] = text + b"\n"

    def ways(self):
        """Contiguous at both ends every time; the other layouts take turns."""
        self._turn = (self._turn + 1) % len(OTHERS)
        for placing in ("C", OTHERS[self._turn]):
            yield "begin", placing
            yield "end", placing

    def inputs(self, arrays, where, placing):
        return {name: PLACINGS[placing](self.fence(name), value, where) for name, value in arrays.items()}

    def outputs(self, shapes, dtype, where, placing):
        placing = placing if placing in OUTPUT_PLACINGS else "C"
        zeros = {name: np.zeros(shape, dtype) for name, shape in shapes.items()}
        return {name: PLACINGS[placing](self.fence(name), value, where) for name, value in zeros.items()}


def run_elementwise(name, dtype, operands):
    function = getattr(simdloss, name)
    for kind in (dtype, np.float16) if dtype == np.float32 else (dtype,):
        x = (np.random.default_rng(0).normal(size=max(LONG)) * 40).astype(kind)
        want = function(x)
        for n in (*LENGTHS, *LONG):
            for where, placing in operands.ways():
                operands.note(name, np.dtype(kind), n, where, placing)
                given = operands.inputs({"x": x[:n]}, where, placing)["x"]
                count = 2 if isinstance(want, tuple) else 1
                outs = tuple(operands.outputs({f"out{i}": n for i in range(count)}, kind, where, placing).values())
                function(given, out=outs if count > 1 else outs[0])
                for out, right in zip(outs, want if count > 1 else (want,), strict=True):
                    np.testing.assert_array_equal(out, right[:n])


def run_binary(dtype, operands):
    for n in (*LENGTHS, *LONG):
        rng = np.random.default_rng(n)
        arrays = {name: rng.uniform(0, 1, n).astype(dtype) for name in ("logits", "target", "weight", "pos_weight")}
        for where, placing in operands.ways():
            operands.note("binary_cross_entropy", n, where, placing)
            given = operands.inputs(arrays, where, placing)
            outs = operands.outputs({"out": n, "grad_out": n}, dtype, where, placing)
            logits, target = given.pop("logits"), given.pop("target")
            for options in ({}, given):
                function = simdloss.binary_cross_entropy_with_logits_and_grad
                function(logits, target, reduction="none", **outs, **options)
                function(logits, target, grad_out=outs["grad_out"], **options)


def row_shapes():
    for classes in LENGTHS:
        yield from ((rows, classes) for rows in (1, 3))
    for rows in LENGTHS:
        yield from ((rows, classes) for classes in (1, 2, 3, 10, 25))
    yield from ((rows, classes) for classes in LONG for rows in (1, 2))
    yield from ((rows, classes) for classes in (2, 3, 24, 33) for rows in (511, 513, 1000))


def run_rows(routine, dtype, operands):
    random = rowwise.data((1024, 301), dtype)
    for rows, classes in row_shapes():
        if classes > 300:
            arrays = rowwise.data((rows, classes), dtype)
        else:
            arrays = {
                name: value[:rows, :classes] if value.ndim == 2 else value[:rows] for name, value in random.items()
            }
            arrays["target"] = arrays["target"] % classes if classes else np.full(rows, IGNORED)
        wanted = {name: arrays[name] for name in ("logits", *routine.needs)}
        weights = {"weight": np.ones(classes, dtype), "sample_weight": np.ones(rows, dtype)} if routine.needs else {}
        sizes = {"row": (rows,), "elements": (rows, classes)}
        shapes = {name: sizes[kind] for name, kind in zip(routine.outputs, routine.results, strict=True)}
        for where, placing in operands.ways():
            operands.note(routine.name, rows, classes, where, placing)
            given = operands.inputs(wanted | weights, where, placing)
            options = {name: given.pop(name) for name in weights}
            outs = operands.outputs(shapes, dtype, where, placing)
            routine.run(*given.values(), axis=-1, **outs)
            routine.run(*given.values(), axis=-1, **outs, **options)


def run_out_of_bounds(operands):
    """What the fences are for: this must not survive."""
    array = operands.fence("x").place(np.zeros(8), "end")
    ctypes.string_at(array.ctypes.data, array.nbytes + 1)


def main(isa, dtype, name, case_file):
    simdloss.use_isa(isa)
    dtype = np.dtype(dtype).type
    with open(case_file, "r+b") as file:
        operands = Operands(file)
        if name == "out_of_bounds":
            run_out_of_bounds(operands)
        elif name in rowwise.BY_NAME:
            run_rows(rowwise.BY_NAME[name], dtype, operands)
        elif name == "binary_cross_entropy":
            run_binary(dtype, operands)
        else:
            run_elementwise(name, dtype, operands)


if __name__ == "__main__":
    main(*sys.argv[1:])
