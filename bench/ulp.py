"""The distance of a result from the truth, in units of the last place of the result's dtype."""

from typing import NamedTuple

import numpy as np


class Exact(NamedTuple):
    """An exact value in a wider type, and the magnitude whose last place an error is counted in: mostly its own.

    A value that is a difference has the magnitude of its terms, as the rounding of one of them already is an error of
    many last places where they cancel.
    """

    value: np.ndarray
    magnitude: np.ndarray


def max_ulp(result, exact, dtype):
    """Return the largest error of `result` in ULP of `dtype`; infinity where a NaN, an infinity or the shape differs.

    The exact value is not rounded to `dtype` first: a perfectly rounded result scores up to 0.5.
    """
    if np.shape(result) != np.shape(exact.value):
        return np.inf
    return float(ulp_errors(result, exact, dtype).max())


def ulp_errors(result, exact, dtype):
    """Return that error of every element."""
    value, magnitude = exact
    result = np.asarray(result).astype(value.dtype)
    with np.errstate(invalid="ignore"):
        error = np.abs(result - value) / _unit(magnitude, dtype)
    same = (result == value) | (np.isnan(result) & np.isnan(value))
    error = np.where(same, 0, error)
    return np.where(np.isnan(error), np.inf, error)


def max_ulp_tiled(result, exact, dtype):
    """Return `max_ulp` of a `result` whose exact value is `exact` repeated along the first axis.

    Every element is looked at, but only a repetition that differs from the first one is compared with the truth again.
    """
    if np.ndim(exact.value) == 0:
        return max_ulp(result, exact, dtype)
    tiles = _tiles(result, exact.value)
    if tiles is None:
        return np.inf
    worst = max_ulp(tiles[0], exact, dtype)
    for tile in tiles[1:]:
        if not np.array_equal(tile, tiles[0]):
            worst = max(worst, max_ulp(tile, exact, dtype))
    return worst


def rough_error(result, exact):
    """Return the largest error of a tiled `result` relative to the largest exact value, or to 1 for a mean.

    A mean near 0 is what cancels of logits that are not, in formulas which know no better.
    """
    if np.ndim(exact.value) == 0:
        return float(abs(result - exact.value) / max(abs(exact.value), 1))
    return float(np.abs(_tiles(result, exact.value) - exact.value).max() / np.abs(exact.value).max())


def _tiles(result, block):
    if result.shape[1:] != block.shape[1:] or len(result) % len(block):
        return None
    return result.reshape(-1, *block.shape)


def _unit(magnitude, dtype):
    limits = np.finfo(dtype)
    exponent = np.frexp(magnitude)[1] - 1
    # Subnormals and 0 have the unit of the smallest normal number.
    exponent = np.where(magnitude == 0, limits.minexp, np.maximum(exponent, limits.minexp))
    return np.ldexp(np.ones_like(magnitude), exponent - limits.nmant)
