"""The instruction set in use."""

import os

from simdloss.ops cimport sl_backend_at, sl_backend_named


def isas():
    """
    Names of the instruction sets that this build has kernels for and this machine runs, best first.

    Returns
    -------
    tuple of str
        Some of ``"avx512"``, ``"avx2"``, ``"neon"``; always ends in ``"portable"``.

    See Also
    --------
    get_isa : the one in use.
    use_isa : use another.

    Examples
    --------
    >>> import simdloss
    >>> simdloss.isas()[-1]
    'portable'
    """
    cdef int i = 0
    names = []
    while sl_backend_at(i):
        names.append(sl_backend_at(i).name.decode())
        i += 1
    return tuple(names)


def get_isa():
    """
    Name of the instruction set in use.

    Returns
    -------
    str
        One of `isas()`; the first of them unless the environment variable ``SIMDLOSS_ISA`` or `use_isa` chose another.
    """
    return active.name.decode()


def use_isa(name):
    """
    Use one instruction set from now on, in every thread.

    Parameters
    ----------
    name : str
        One of `isas()`. The environment variable ``SIMDLOSS_ISA`` does the same at import.

    Raises
    ------
    ValueError
        If `name` is unknown, or this build or machine does not run it.

    Examples
    --------
    >>> import simdloss
    >>> simdloss.use_isa("portable")
    >>> simdloss.get_isa()
    'portable'
    >>> simdloss.use_isa(simdloss.isas()[0])
    """
    choose(name, "name")


cdef int choose(object name, str origin) except -1:
    global active
    if name not in isas():
        raise ValueError(f"{origin} must be an instruction set that runs here: {', '.join(isas())}; got {name!r}")
    active = sl_backend_named(name.encode())
    return 0


# An empty variable is an unset one, as shells write it.
choose(os.environ.get("SIMDLOSS_ISA") or isas()[0], "the environment variable SIMDLOSS_ISA")
