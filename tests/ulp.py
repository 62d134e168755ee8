"""Errors in units in the last place, measured against a reference that is wider than the result."""

import numpy as np

# Eleven bits wider than float64 on x86, sixty on AArch64. Where it is no wider, float64 results cannot be judged.
WIDE = np.longdouble
assert np.finfo(WIDE).nmant >= 63, "these tests need a np.longdouble wider than float64"


def wide(a) -> np.ndarray:
    return np.asarray(a).astype(WIDE)


def ulp_of(magnitude, dtype) -> np.ndarray:
    """The distance between neighbouring numbers of `dtype` at `magnitude`, down to the subnormals."""
    info = np.finfo(dtype)
    _, exponent = np.frexp(np.abs(magnitude))
    return np.maximum(np.ldexp(WIDE(1), exponent - 1 - info.nmant), WIDE(info.smallest_subnormal))


def ulp_errors(result, exact, scale=None) -> np.ndarray:
    """|result - exact| in ULP of the result's dtype at `scale` (default: at `exact`).

    A result that must be infinite or NaN counts as 0 when it is just that and as infinitely wrong otherwise.
    """
    result = np.asarray(result)
    with np.errstate(all="ignore"):
        rounded = exact.astype(result.dtype)
        errors = np.abs(wide(result) - exact) / ulp_of(exact if scale is None else scale, result.dtype)
        same = (result == rounded) | (np.isnan(result) & np.isnan(rounded))
    errors = np.where(np.isfinite(rounded) & np.isfinite(result), errors, np.where(same, 0, np.inf))
    return errors.astype(np.float64)


class Expected:
    """Exact values and how far off a result may be, in float64 once so that many results are compared cheaply."""

    def __init__(self, exact, bound, dtype, scale=None):
        self._exact, self._scale = exact, scale
        self._value = exact.astype(np.float64)
        step = ulp_of(exact if scale is None else scale, dtype)
        with np.errstate(invalid="ignore"):
            allowed = (bound * step + np.abs(exact - self._value)).astype(np.float64)
        self._allowed = np.where(np.isfinite(exact), allowed, 0)

    def check(self, result, what, rows=...):
        """Fails with the worst element of `result`, which holds the given rows of what is expected."""
        value, allowed = self._value[rows], self._allowed[rows]
        assert np.shape(result) == value.shape, f"{what}: shape {np.shape(result)}, wanted {value.shape}"
        with np.errstate(invalid="ignore"):
            off = np.where(result == value, 0, np.abs(np.asarray(result, np.float64) - value))
        if not (off <= allowed).all():
            errors = ulp_errors(result, self._exact[rows], None if self._scale is None else self._scale[rows])
            at = np.unravel_index(np.argmax(np.where(np.isnan(off), np.inf, off - allowed)), errors.shape)
            raise AssertionError(
                f"{what}: {errors[at]:.2f} ULP at {tuple(map(int, at))}, one of {int(np.sum(~(off <= allowed)))} over: "
                f"got {np.asarray(result)[at]!r}, exact {self._exact[rows][at]!r}"
            )
