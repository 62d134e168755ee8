"""The floating-point state of this thread, by the C library: rounding mode, flush-to-zero, exception flags."""

import ctypes
import platform
from contextlib import contextmanager

_libc = ctypes.CDLL(None)


class _Environment(ctypes.Structure):
    _fields_ = [("words", ctypes.c_uint32 * 16)]


# Which words of glibc's fenv_t hold control and flags, and the bits in them.
_CONTROL, _STATUS, FLUSH, TOWARD_ZERO, UPWARD, FLAGS = {
    "x86_64": (7, 7, 0x8040, 0x6000, 0x4000, 0x3F),  # MXCSR for both; FTZ and DAZ
    "aarch64": (0, 1, 1 << 24, 3 << 22, 1 << 22, 0x9F),  # FPCR and FPSR
}[platform.machine()]
MODES = FLUSH | TOWARD_ZERO


def _read() -> _Environment:
    environment = _Environment()
    assert _libc.fegetenv(ctypes.byref(environment)) == 0
    return environment


def modes() -> int:
    """Rounding and flush-to-zero: MODES, of which 0 is what every program begins with."""
    return _read().words[_CONTROL] & MODES


def flags() -> int:
    return _read().words[_STATUS] & FLAGS


def _write(new_modes, new_flags):
    environment = _read()
    environment.words[_CONTROL] = environment.words[_CONTROL] & ~MODES | new_modes
    environment.words[_STATUS] = environment.words[_STATUS] & ~FLAGS | new_flags
    assert _libc.fesetenv(ctypes.byref(environment)) == 0


@contextmanager
def state(new_modes=0, new_flags=0):
    """Within it, this thread computes in the given modes, with just the given flags raised at the start."""
    before = modes(), flags()
    _write(new_modes, new_flags)
    try:
        yield
    finally:
        _write(*before)
