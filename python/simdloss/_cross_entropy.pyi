from typing import Any, Literal, SupportsIndex, TypeAlias, overload

from numpy.typing import ArrayLike, NDArray

__test__: dict[str, str]

# An array, or a scalar where it would have no dimensions.
_Rows: TypeAlias = Any

@overload
def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
    axis: SupportsIndex = -1,
    return_lse: Literal[False] = False,
    out: None = None,
) -> float: ...
@overload
def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
    axis: SupportsIndex = -1,
    return_lse: Literal[True],
    out: None = None,
) -> tuple[float, _Rows]: ...
@overload
def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["none"],
    axis: SupportsIndex = -1,
    return_lse: Literal[False] = False,
    out: NDArray[Any] | None = None,
) -> _Rows: ...
@overload
def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["none"],
    axis: SupportsIndex = -1,
    return_lse: Literal[True],
    out: NDArray[Any] | None = None,
) -> tuple[_Rows, _Rows]: ...
@overload
def cross_entropy_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
    axis: SupportsIndex = -1,
    return_lse: Literal[False] = False,
    out: None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[float, NDArray[Any]]: ...
@overload
def cross_entropy_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
    axis: SupportsIndex = -1,
    return_lse: Literal[True],
    out: None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[float, NDArray[Any], _Rows]: ...
@overload
def cross_entropy_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["none"],
    axis: SupportsIndex = -1,
    return_lse: Literal[False] = False,
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[_Rows, NDArray[Any]]: ...
@overload
def cross_entropy_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    ignore_index: SupportsIndex = -100,
    label_smoothing: float = 0.0,
    lse_square_scale: float = 0.0,
    reduction: Literal["none"],
    axis: SupportsIndex = -1,
    return_lse: Literal[True],
    out: NDArray[Any] | None = None,
    grad_out: NDArray[Any] | None = None,
) -> tuple[_Rows, NDArray[Any], _Rows]: ...
