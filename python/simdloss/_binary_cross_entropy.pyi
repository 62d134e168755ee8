from typing import Any, Literal, TypeAlias, overload

from numpy.typing import ArrayLike, NDArray

__test__: dict[str, str]

# An array, or a scalar where it would have no dimensions.
_Result: TypeAlias = Any

@overload
def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: Literal["mean", "sum"] = "mean",
    out: None = None,
) -> float: ...
@overload
def binary_cross_entropy_with_logits(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: Literal["none"],
    out: NDArray[Any] | None = None,
) -> _Result: ...
@overload
def binary_cross_entropy_with_logits_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: Literal["mean", "sum"] = "mean",
    out: None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[float, _Result]: ...
@overload
def binary_cross_entropy_with_logits_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    pos_weight: ArrayLike | None = None,
    reduction: Literal["none"],
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[_Result, _Result]: ...
