"""Ways of laying the same numbers in memory: each takes an array and gives a copy of it, laid out so."""

import numpy as np


def contiguous(a):
    return np.array(a, order="C", copy=True)


def fortran(a):
    return np.array(a, order="F", copy=True)


def memory_of(a):
    """The array that owns the memory of a view."""
    return a if a.base is None else memory_of(a.base)


def reversed_axes(a):
    """All strides negative."""
    flip = (slice(None, None, -1),) * a.ndim
    return contiguous(a[flip])[flip]


def every_other(axis, step):
    """A view with a step along one axis; what lies between is NaN, so that reading it shows."""

    def lay(a):
        shape = list(a.shape)
        shape[axis] *= step
        holder = np.full(shape, np.nan if a.dtype.kind == "f" else 99, a.dtype)
        index = [slice(None)] * a.ndim
        index[axis] = slice(None, None, step)
        holder[tuple(index)] = a
        return holder[tuple(index)]

    return lay


def padded(a):
    """A window in a larger array, so that no two axes can be merged and no row begins aligned."""
    holder = np.full([n + 3 for n in a.shape], np.nan if a.dtype.kind == "f" else 99, a.dtype)
    window = holder[tuple(slice(1, n + 1) for n in a.shape)]
    window[...] = a
    return window


def last_axis_first(a):
    return np.moveaxis(contiguous(np.moveaxis(a, -1, 0)), 0, -1)


def middle_axis_last(a):
    return np.swapaxes(contiguous(np.swapaxes(a, 0, -1)), 0, -1) if a.ndim < 3 else _rotated(a)


def _rotated(a):
    order = (*range(1, a.ndim), 0)
    return contiguous(a.transpose(order)).transpose(np.argsort(order))


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def byte_swapped(a):
    return a.astype(a.dtype.newbyteorder())


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def fortran_misaligned(a):
    return misaligned(a.T).T


def fortran_byte_swapped(a):
    return byte_swapped(fortran(a))


# Those an output can have too: native byte order, writeable.
OUTPUT_LAYOUTS = {
    "C": contiguous,
    "F": fortran,
    "reversed": reversed_axes,
    "step2": every_other(-1, 2),
    "step3_first": every_other(0, 3),
    "padded": padded,
    "axis_moved": last_axis_first,
    "rotated": middle_axis_last,
    "misaligned": misaligned,
}
LAYOUTS = OUTPUT_LAYOUTS | {
    "byte_swapped": byte_swapped,
    "read_only": read_only,
    "fortran_misaligned": fortran_misaligned,
    "fortran_byte_swapped": fortran_byte_swapped,
}
