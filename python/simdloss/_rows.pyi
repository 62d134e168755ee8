from typing import Any, Literal, SupportsIndex, TypeAlias, overload

from numpy.typing import ArrayLike, NDArray

__test__: dict[str, str]

_Axis: TypeAlias = SupportsIndex | tuple[SupportsIndex, ...] | None
# An array, or a scalar where it would have no dimensions.
_Result: TypeAlias = Any

@overload
def logsumexp(
    a: ArrayLike,
    axis: _Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    out: NDArray[Any] | None = None,
) -> _Result: ...
@overload
def logsumexp(
    a: ArrayLike,
    axis: _Axis = None,
    b: ArrayLike | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    out: NDArray[Any] | None = None,
) -> tuple[_Result, _Result]: ...
@overload
def logsumexp(
    a: ArrayLike,
    axis: _Axis,
    b: ArrayLike | None,
    keepdims: bool,
    return_sign: Literal[True],
    *,
    out: NDArray[Any] | None = None,
) -> tuple[_Result, _Result]: ...
def logsumexp_and_grad(
    a: ArrayLike,
    axis: _Axis = -1,
    *,
    keepdims: bool = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[_Result, _Result]: ...
def softmax(x: ArrayLike, axis: _Axis = -1, *, out: NDArray[Any] | None = None) -> _Result: ...
def log_softmax(x: ArrayLike, axis: _Axis = -1, *, out: NDArray[Any] | None = None) -> _Result: ...
