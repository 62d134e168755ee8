"""The arrays of a case: a block of random inputs, repeated along the first axis, and outputs to fill.

The exact result then is that of one block, repeated: even the largest result is checked whole, in little time. Means
and the gradients of means stay the same too, as every size is a whole number of blocks or smaller than one.
"""

import numpy as np

# Long enough that no branch predictor learns it.
BLOCK_ELEMENTS = 1 << 15
_SEED = 20240229

# The input that has one element a class.
PER_CLASS = "weight"


def block_rows(row_elements):
    """Return how many rows of `row_elements` a block holds."""
    return max(2, BLOCK_ELEMENTS // row_elements)


def elements(shape, dtype, rng):
    """Return logits of the usual size."""
    return {"x": (8 * rng.standard_normal(shape)).astype(dtype)}


def wide_elements(shape, dtype, rng):
    """Return logits so large that most leave the range where exp neither overflows nor vanishes."""
    return {"x": rng.uniform(-1000, 1000, shape).astype(dtype)}


def binary(shape, dtype, rng):
    """Return logits and labels that are 0 or 1."""
    return elements(shape, dtype, rng) | {"target": rng.integers(0, 2, shape).astype(dtype)}


def wide_binary(shape, dtype, rng):
    """Return large logits and labels."""
    return binary(shape, dtype, rng) | wide_elements(shape, dtype, rng)


def rows(shape, dtype, rng):
    """Return logits of rows."""
    return {"x": (3 * rng.standard_normal(shape)).astype(dtype)}


def indices(shape, dtype, rng, axis=-1):
    """Return logits and class indices; every second row is confident, as those of a trained model are."""
    x = 3 * rng.standard_normal(shape)
    target = rng.integers(0, shape[axis], np.delete(shape, axis))
    chosen = np.expand_dims(target, axis)
    raised = np.take_along_axis(x, chosen, axis)
    raised[::2] += 15
    np.put_along_axis(x, chosen, raised, axis)
    return {"x": x.astype(dtype), "target": target}


def indices_of_axis_1(shape, dtype, rng):
    """Return logits of which axis 1 is the classes, and class indices."""
    return indices(shape, dtype, rng, axis=1)


def soft_labels(shape, dtype, rng):
    """Return logits and class probabilities."""
    weights = rng.exponential(size=shape)
    return rows(shape, dtype, rng) | {"target": (weights / weights.sum(axis=-1, keepdims=True)).astype(dtype)}


def indices_of_int32(shape, dtype, rng):
    """Return logits and class indices of half the usual width."""
    found = indices(shape, dtype, rng)
    return found | {"target": found["target"].astype(np.int32)}


def weighted_indices(shape, dtype, rng):
    """Return logits, class indices and weights of the classes."""
    return indices(shape, dtype, rng) | {PER_CLASS: rng.uniform(0.5, 2, shape[-1]).astype(dtype)}


def _ignoring(share):
    def ignored_indices(shape, dtype, rng):
        found = indices(shape, dtype, rng)
        found["target"][rng.random(shape[0]) < share] = -100
        return found

    return ignored_indices


# A tenth and nine tenths of the rows are ignored.
few_ignored, most_ignored = _ignoring(0.1), _ignoring(0.9)


def wide_indices(shape, dtype, rng):
    """Return logits up to 1e4 and class indices."""
    return {"x": rng.uniform(-1e4, 1e4, shape).astype(dtype), "target": rng.integers(0, shape[-1], shape[:-1])}


def masked_indices(shape, dtype, rng):
    """Return logits of which every second one is -inf, no target among them, and class indices."""
    found = indices(shape, dtype, rng)
    masked = rng.random(shape) < 0.5
    np.put_along_axis(masked, found["target"][:, None], False, -1)
    found["x"][masked] = -np.inf
    return found


def make_block(inputs, shape, dtype):
    """Return the block of the case of that `shape`: `inputs` is one of the functions above."""
    first = min(shape[0], block_rows(int(np.prod(shape[1:], dtype=int))))
    return inputs((first, *shape[1:]), dtype, np.random.default_rng(_SEED))


def repeat(block, length):
    """Return the arrays of `block` repeated to `length` along the first axis."""
    times, rest = divmod(length, len(block["x"]))
    if rest:
        raise ValueError(f"length must be a multiple of the block's {len(block['x'])}, got {length}")
    return {
        name: array if name == PER_CLASS else np.tile(array, (times, *[1] * (array.ndim - 1)))
        for name, array in block.items()
    }


def make_outputs(names, x, axis):
    """Return the empty outputs of those `names`: `lse` has one element a row, any other the shape of the logits `x`."""
    rows_shape = np.delete(x.shape, axis)
    return {name: np.empty(rows_shape if name == "lse" else x.shape, x.dtype) for name in names}
