"""The sizes of a run, fitted to the caches of the machine, and the shapes of arrays of those sizes.

A size is that of the logits alone: outputs and the scratch of the NumPy baseline come on top, hence the eighths.
"""

from dataclasses import dataclass
from math import prod

from .data import BLOCK_ELEMENTS, block_rows

TINY, L2, L3, BEYOND = "tiny", "L2", "L3", "beyond"

_TINY_ELEMENTS = 8
_L3_MOST = 8 << 20
_BEYOND_LEAST, _BEYOND_MOST = 32 << 20, 64 << 20

# Few classes, many, and a vocabulary.
_CLASSES = {L2: (10, 1000), L3: (10, 1000, 50257), BEYOND: (50257,)}
_IMAGE = (21, 32, 32)


@dataclass(frozen=True)
class Size:
    """A name, and the bytes that the logits should have."""

    name: str
    nbytes: int


def sizes(caches, *, quick=False, beyond=None):
    """Return the sizes for `caches` (bytes by level); `beyond` bytes replace the largest one's.

    The size beyond L3 is capped, as some servers have hundreds of megabytes that no short run can leave: reports call
    each case by the memory that it really fits in.
    """
    chosen = [Size(TINY, 0)]
    if 2 in caches:
        chosen.append(Size(L2, caches[2] // 8))
    if quick:
        return chosen
    if 3 in caches:
        chosen.append(Size(L3, min(caches[3] // 8, _L3_MOST)))
    default = min(max(max(caches.values()) * 5 // 4, _BEYOND_LEAST), _BEYOND_MOST)
    return [*chosen, Size(BEYOND, beyond or default)]


def vectors(size, itemsize):
    """Return the shape of a vector."""
    if size.name == TINY:
        return [(_TINY_ELEMENTS,)]
    return [vectors_of(size.nbytes, itemsize)]


def vectors_of(nbytes, itemsize):
    """Return the shape of a vector of about that size."""
    return _whole_blocks(nbytes, itemsize, ())


def rows_of(nbytes, itemsize, classes):
    """Return the shape of rows of that many classes, about that size in all."""
    return _whole_blocks(nbytes, itemsize, (classes,))


def vectors_in_l2(size, itemsize):
    """Return the shape of a vector in L2: for inputs that are slow to compute, not to load."""
    return vectors(size, itemsize) if size.name == L2 else []


def rows(size, itemsize):
    """Return shapes of rows of few and many classes."""
    if size.name == TINY:
        return [(1, _TINY_ELEMENTS)]
    return [rows_of(size.nbytes, itemsize, classes) for classes in _CLASSES[size.name]]


def rows_of_many(size, itemsize):
    """Return one shape only, for the variants of a routine."""
    return [rows(size, itemsize)[-1]] if size.name in (L2, L3) else []


def images(size, itemsize):
    """Return the shape of a batch of images, each of 21 classes a pixel with the class axis before the pixels."""
    return [_whole_blocks(size.nbytes, itemsize, _IMAGE)] if size.name in (L2, L3) else []


def _whole_blocks(nbytes, itemsize, row):
    block = block_rows(prod(row)) if row else BLOCK_ELEMENTS
    count = nbytes // (prod(row) * itemsize)
    if count > block:
        count -= count % block
    return (max(count, 1), *row)
