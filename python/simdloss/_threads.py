"""How many threads a call may use, and the pool that the others come from."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from operator import index
from typing import Literal, SupportsIndex, TypeAlias

from simdloss._cpus import available_cpus

_Count: TypeAlias = SupportsIndex | Literal["auto"]


def set_num_threads(n: _Count) -> None:
    """
    Let each call from now on use up to `n` threads, in the whole process.

    Parameters
    ----------
    n : int or "auto"
        1, the setting at import, computes in the calling thread alone. "auto" means the CPUs that the process may run
        on, or what its control group (cgroup) grants of their time, rounded up, if that is less. The environment
        variable ``SIMDLOSS_NUM_THREADS`` does the same at import.

    Raises
    ------
    TypeError
        If `n` is neither an integer nor a string.
    ValueError
        If `n` is less than 1, or a string other than "auto".

    See Also
    --------
    num_threads : for a block of code.
    get_num_threads : the number in use.

    Notes
    -----
    Results are the same bytes for any number of threads. A call takes several only if it would run for more than about
    half a millisecond in one. The caller's thread does its part; the others wait in a `ThreadPoolExecutor`, without
    using the CPU, which all calls share. They start when first needed, also anew in a forked process. Where none can be
    started, as while the interpreter shuts down, the calling thread does all the work, and so it does in a call that is
    made from a thread of the pool. NumPy runs the loops of the ufuncs, `simdloss.ufuncs`, in one thread.

    Examples
    --------
    >>> import simdloss
    >>> simdloss.set_num_threads(2)
    >>> simdloss.get_num_threads()
    2
    >>> simdloss.set_num_threads(1)
    """
    global _everywhere
    _everywhere = _read_count(n, "n")


def get_num_threads() -> int:
    """
    Return the number of threads that a call made here may use.

    Returns
    -------
    int
        What the innermost `num_threads` block says, or else `set_num_threads`.

    See Also
    --------
    set_num_threads : set it.
    """
    return _here.get() or _everywhere


@contextmanager
def num_threads(n: _Count) -> Iterator[int]:
    """
    Let each call inside a ``with`` block use up to `n` threads.

    Parameters
    ----------
    n : int or "auto"
        As `set_num_threads` takes it.

    Yields
    ------
    int
        The number of threads.

    Raises
    ------
    TypeError, ValueError
        As `set_num_threads` does.

    See Also
    --------
    set_num_threads : for the whole process; when and how several threads are used is explained there.

    Notes
    -----
    Holds, as `numpy.errstate` does, in the current context (see `contextvars`): neither in other threads, not even in
    those started inside the block, nor in other asynchronous tasks than those started inside it. Inside the block
    `set_num_threads` changes nothing but what holds elsewhere and afterwards. Blocks nest. Also a decorator.

    Examples
    --------
    >>> import simdloss
    >>> with simdloss.num_threads(4):
    ...     simdloss.get_num_threads()
    4
    >>> simdloss.get_num_threads()
    1
    """
    count = _read_count(n, "n")
    token = _here.set(count)
    try:
        yield count
    finally:
        _here.reset(token)


def _read_count(n: SupportsIndex | str, origin: str) -> int:
    wanted = f"{origin} must be a positive integer or 'auto'; got {n!r}"
    if isinstance(n, str):
        if n != "auto":
            raise ValueError(wanted)
        return available_cpus()
    try:
        count = index(n)
    except TypeError:
        raise TypeError(wanted) from None
    if count < 1:
        raise ValueError(wanted)
    return count


def _from_environment() -> int:
    # An empty variable is an unset one, as shells write it.
    text = os.environ.get("SIMDLOSS_NUM_THREADS") or "1"
    return _read_count(int(text) if text.isdecimal() else text, "the environment variable SIMDLOSS_NUM_THREADS")


_everywhere = _from_environment()
_here: ContextVar[int | None] = ContextVar("simdloss.num_threads", default=None)


class _Place(threading.local):
    in_pool = False


_place = _Place()
_pool: ThreadPoolExecutor | None = None
_pool_size = 0
_pool_lock = threading.Lock()


def recruit(task: Callable[[], None], helpers: int) -> None:
    """Have up to `helpers` threads of the pool call `task`, when they are free."""
    if _place.in_pool:
        return
    pool = _pool_of(helpers)
    try:
        for _ in range(helpers):
            pool.submit(task)
    except RuntimeError:
        # No thread starts any more: the interpreter shuts down, or the system has no more. The caller computes what
        # nobody takes.
        return


def _pool_of(size: int) -> ThreadPoolExecutor:
    global _pool, _pool_size
    with _pool_lock:
        if _pool is None or _pool_size < size:
            # Threads of a smaller one end once the last call that uses it lets go of it.
            _pool, _pool_size = ThreadPoolExecutor(size, "simdloss", _enter_pool), size
        return _pool


def _enter_pool() -> None:
    _place.in_pool = True


def _forget_pool() -> None:
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads, and perhaps a lock that nobody releases.
    os.register_at_fork(after_in_child=_forget_pool)
