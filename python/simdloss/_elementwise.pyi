from typing import Any, Literal, TypeAlias

from numpy.typing import ArrayLike, DTypeLike, NDArray

__test__: dict[str, str]

# Arrays, scalars, or whatever __array_ufunc__ of the input makes of it, as with every ufunc.
_Result: TypeAlias = Any
_Out: TypeAlias = NDArray[Any] | tuple[NDArray[Any]] | None
_OutPair: TypeAlias = tuple[NDArray[Any] | None, NDArray[Any] | None] | None
_Casting: TypeAlias = Literal["no", "equiv", "safe", "same_kind", "unsafe"]
_Order: TypeAlias = Literal["K", "A", "C", "F"]
_Signature: TypeAlias = str | tuple[DTypeLike, ...] | None

def sigmoid(
    x: ArrayLike,
    /,
    out: _Out = None,
    *,
    where: ArrayLike = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
    signature: _Signature = None,
) -> _Result: ...
def log_sigmoid(
    x: ArrayLike,
    /,
    out: _Out = None,
    *,
    where: ArrayLike = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
    signature: _Signature = None,
) -> _Result: ...
def softplus(
    x: ArrayLike,
    /,
    out: _Out = None,
    *,
    where: ArrayLike = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
    signature: _Signature = None,
) -> _Result: ...
def log_sigmoid_and_grad(
    x: ArrayLike,
    /,
    *outs: NDArray[Any] | None,
    out: _OutPair = None,
    where: ArrayLike = True,
    casting: _Casting = "same_kind",
    order: _Order = "K",
    dtype: DTypeLike | None = None,
    subok: bool = True,
    signature: _Signature = None,
) -> tuple[_Result, _Result]: ...
