"""Ignored rows are left out of the batches that kernels compute: the others must not notice, whatever the layout."""

import layouts
import numpy as np
import pytest
from calls import assert_same_bytes

import simdloss

IGNORED = -100
LAYOUTS = {
    "contiguous": layouts.contiguous,
    "class axis first": layouts.fortran,
    "backwards": layouts.reversed_axes,
    "rows apart": layouts.every_other(0, 2),
    "columns apart": layouts.every_other(1, 2),
    "columns far apart": layouts.every_other(1, 7),
    "in a window": layouts.padded,
}


def few(rows, rng):
    return rng.random(rows) < 0.1


def most(rows, rng):
    return rng.random(rows) < 0.9


def a_long_run(rows, rng):
    return (np.arange(rows) > 3) & (np.arange(rows) < rows - 2)


@pytest.mark.parametrize("ignored", [few, most, a_long_run])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_others_do_not_notice(isa, dtype, layout, ignored):
    rng = np.random.default_rng(3)
    for rows, classes in ((3, 4), (33, 10), (200, 2), (97, 33), (70, 200), (5, 5000)):
        x = rng.normal(0, 3, (rows, classes)).astype(dtype)
        target = rng.integers(0, classes, rows)
        weight, sample_weight = rng.uniform(0.5, 2, classes).astype(dtype), rng.uniform(0.5, 2, rows).astype(dtype)
        left_out = ignored(rows, rng)
        given = np.where(left_out, IGNORED, target)
        logits = LAYOUTS[layout](x)
        options = {"sample_weight": sample_weight, "reduction": "none"}
        for some in (options, {**options, "weight": weight, "label_smoothing": 0.1}):
            wanted = simdloss.cross_entropy_and_grad(logits, target, **some)
            for result in wanted:
                result[left_out] = 0
            grad = np.full_like(logits, 7)
            loss, _ = simdloss.cross_entropy_and_grad(logits, given, grad_out=grad, **some)
            assert_same_bytes([loss, grad], wanted, f"{rows} x {classes}")
            in_place = LAYOUTS[layout](x)
            simdloss.cross_entropy_and_grad(in_place, given, grad_out=in_place, **some)
            assert_same_bytes([in_place], [wanted[1]], f"{rows} x {classes} in place")


def test_rows_of_several_dimensions(isa, dtype):
    """Rows whose numbers have to be taken apart, and odd storage."""
    rng = np.random.default_rng(4)
    x = rng.normal(0, 3, (4, 6, 5, 9)).astype(dtype)[:, ::2, :, :7]
    target = rng.integers(0, 7, x.shape[:3])
    left_out = rng.random(target.shape) < 0.6
    given = np.where(left_out, IGNORED, target).astype(">i2")
    wanted = simdloss.cross_entropy_and_grad(x, target, reduction="none")
    for result in wanted:
        result[left_out] = 0
    assert_same_bytes(simdloss.cross_entropy_and_grad(x, given, reduction="none"), wanted, "four dimensions")
    half = x.astype(np.float16)
    wanted = simdloss.cross_entropy_and_grad(half, target, reduction="none")
    for result in wanted:
        result[left_out] = 0
    assert_same_bytes(simdloss.cross_entropy_and_grad(half, given, reduction="none"), wanted, "float16")


def flipped(images):
    return images[..., ::-1].copy()[..., ::-1]


def in_a_window(images):
    wide = np.zeros((*images.shape[:2], images.shape[2] + 2, images.shape[3] + 3), images.dtype)
    wide[..., 1:-1, 2:-1] = images
    return wide[..., 1:-1, 2:-1]


def classes_last(images):
    return np.moveaxis(np.moveaxis(images, 1, -1).copy(), -1, 1)


@pytest.mark.parametrize("layout", [np.copy, flipped, in_a_window, classes_last])
@pytest.mark.parametrize("half", [False, True])
def test_patches_of_images(isa, dtype, layout, half):
    """Pixels side by side are computed together or, where all of them are ignored, not at all."""
    rng = np.random.default_rng(5)
    for size in ((3, 5, 9, 40), (2, 2, 64, 3), (4, 140, 3, 33), (2, 1, 7, 70)):
        images, classes, height, width = size
        x = rng.normal(0, 3, size).astype(np.float16 if half else dtype)
        target = rng.integers(0, classes, (images, height, width))
        left_out = np.zeros(target.shape, bool)
        left_out[0, height // 3 :] = left_out[:, :, width // 2 :] = True
        left_out[1] = True
        given = np.where(left_out, IGNORED, target)
        odd = x.copy()
        np.moveaxis(odd, 1, -1)[left_out] = np.nan
        for reduction, options in (("none", {}), ("sum", {"label_smoothing": 0.1})):
            wanted = simdloss.cross_entropy_and_grad(layout(x), target, axis=1, reduction="none", **options)
            wanted[0][left_out] = 0
            np.moveaxis(wanted[1], 1, -1)[left_out] = 0
            for logits in (layout(x), layout(odd)):
                for grad in (layout(np.full_like(x, 7)), logits):
                    loss, _ = simdloss.cross_entropy_and_grad(
                        logits, given, axis=1, reduction=reduction, grad_out=grad, **options
                    )
                    assert_same_bytes([grad], [wanted[1]], f"{size}, {reduction}")
                    if reduction == "none":
                        assert_same_bytes([loss], [wanted[0]], f"{size}")
        lse = [simdloss.cross_entropy(layout(x), some, axis=1, return_lse=True)[1] for some in (given, target)]
        assert_same_bytes(lse[:1], lse[1:], f"{size}: ignored rows have a log-sum-exp, too")
