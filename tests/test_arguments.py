"""Bad arguments: an exception that names the argument, what was given and what is wanted, and outputs left alone."""

import inspect

import numpy as np
import pytest

import simdloss

N, C = 5, 7
BOTH_CROSS_ENTROPIES = [simdloss.cross_entropy, simdloss.cross_entropy_and_grad]
BOTH_BINARIES = [simdloss.binary_cross_entropy_with_logits, simdloss.binary_cross_entropy_with_logits_and_grad]


def logits():
    return np.linspace(-2, 3, N * C).reshape(N, C)


def indices(**changed):
    target = np.array([0, 6, 2, 3, 1])
    for at, value in changed.items():
        target[int(at[1:])] = value
    return target


def frozen(shape):
    array = np.zeros(shape)
    array.flags.writeable = False
    return array


one_hot = np.eye(C, dtype=int)[indices()]
soft = one_hot.astype(float)

# Arguments that differ from a good call, the exception, and what its message must hold.
CROSS_ENTROPY = {
    "target_too_large": ({"target": indices(_3=9)}, IndexError, ["target", "9", "3", "7"]),
    "target_negative": ({"target": indices(_4=-1)}, IndexError, ["target", "-1", "4", "7"]),
    "target_is_classes": ({"target": indices(_0=7)}, IndexError, ["target", "7", "0"]),
    "first_bad_target": ({"target": indices(_2=55, _3=66)}, IndexError, ["55", "2"]),
    "target_uint64": ({"target": np.array([0, 2**63 + 9, 1, 1, 1], np.uint64)}, IndexError, ["target", "1", "7"]),
    "target_int8": ({"target": indices(_1=-100).astype(np.int8), "ignore_index": 3}, IndexError, ["-100", "1"]),
    "target_swapped": ({"target": indices(_3=9).astype(">i4")}, IndexError, ["9", "3"]),
    "target_bool": ({"target": indices() > 2}, TypeError, ["target", "bool", "astype"]),
    "target_float": ({"target": indices().astype(float)}, TypeError, ["target", "float64", "astype"]),
    "target_one_hot": ({"target": one_hot}, TypeError, ["target", "int64", "astype"]),
    "target_complex": ({"target": soft + 0j}, TypeError, ["target", "complex128"]),
    "target_text": ({"target": ["a"] * N}, TypeError, ["target"]),
    "target_short": ({"target": indices()[:4]}, ValueError, ["target", "(4,)", "(5, 7)"]),
    "target_wide": ({"target": np.zeros((N, C + 1))}, ValueError, ["target", "(5, 8)", "(5, 7)"]),
    "target_scalar": ({"target": 1}, ValueError, ["target", "()", "(5, 7)"]),
    "reduction": ({"reduction": "avg"}, ValueError, ["reduction", "avg", "mean", "sum", "none"]),
    "smoothing_negative": ({"label_smoothing": -0.5}, ValueError, ["label_smoothing", "-0.5", "[0, 1]"]),
    "smoothing_large": ({"label_smoothing": 1.5}, ValueError, ["label_smoothing", "1.5", "[0, 1]"]),
    "smoothing_nan": ({"label_smoothing": np.nan}, ValueError, ["label_smoothing", "nan", "[0, 1]"]),
    "ignore_soft": ({"target": soft, "ignore_index": 2}, ValueError, ["ignore_index", "2"]),
    "weight_shape": ({"weight": np.ones(3)}, ValueError, ["weight", "(3,)", "7"]),
    "weight_matrix": ({"weight": np.ones((N, C))}, ValueError, ["weight", "(5, 7)", "7"]),
    "weight_complex": ({"weight": np.ones(C) * 1j}, TypeError, ["weight", "complex128"]),
    "sample_weight": ({"sample_weight": np.ones(3)}, ValueError, ["sample_weight", "(3,)", "(5,)"]),
    "axis_high": ({"axis": 4}, np.exceptions.AxisError, ["axis", "4", "2"]),
    "axis_low": ({"axis": -3}, np.exceptions.AxisError, ["axis", "-3", "2"]),
    "axis_type": ({"axis": "x"}, TypeError, []),
    "logits_scalar": ({"logits": 1.0, "target": 0}, ValueError, ["logits"]),
    "logits_complex": ({"logits": logits() + 0j}, TypeError, ["logits", "complex128"]),
    "logits_longdouble": ({"logits": logits().astype(np.longdouble)}, TypeError, ["logits", "float128"]),
    "logits_object": ({"logits": logits().astype(object)}, TypeError, ["logits", "object"]),
    "logits_text": ({"logits": [["a", "b"]], "target": [0]}, TypeError, ["logits"]),
    "out_shape": ({"out": np.zeros(4)}, ValueError, ["out", "(4,)", "(5,)"]),
    "out_dtype": ({"out": np.zeros(N, np.float32)}, TypeError, ["out", "float32", "float64"]),
    "out_swapped": ({"out": np.zeros(N, ">f8")}, TypeError, ["out", ">f8", "float64"]),
    "out_frozen": ({"out": frozen(N)}, ValueError, ["out", "read-only"]),
    "out_list": ({"out": [0.0] * N}, TypeError, ["out", "list"]),
    "out_reduced": ({"out": np.zeros(N), "reduction": "mean"}, ValueError, ["out", "mean", "none"]),
}
GRADIENT = {
    "grad_out_shape": ({"grad_out": np.zeros((C, N))}, ValueError, ["grad_out", "(7, 5)", "(5, 7)"]),
    "grad_out_dtype": ({"grad_out": np.zeros((N, C), np.float32)}, TypeError, ["grad_out", "float32", "float64"]),
    "grad_out_frozen": ({"grad_out": frozen((N, C))}, ValueError, ["grad_out", "read-only"]),
    "grad_out_list": ({"grad_out": soft.tolist()}, TypeError, ["grad_out", "list"]),
}
BINARY = {
    "target_shape": ({"target": np.zeros((N, 1))}, ValueError, ["target", "(5, 1)", "(5, 7)"]),
    "target_scalar": ({"target": 1.0}, ValueError, ["target", "()", "(5, 7)"]),
    "target_complex": ({"target": soft + 0j}, TypeError, ["target", "complex128"]),
    "weight_enlarges": ({"weight": np.ones((2, N, C))}, ValueError, ["weight", "(2, 5, 7)", "(5, 7)"]),
    "weight_shape": ({"weight": np.ones(N)}, ValueError, ["weight", "(5,)", "(5, 7)"]),
    "pos_weight_enlarges": ({"pos_weight": np.ones((2, 1, 1))}, ValueError, ["pos_weight", "(2, 1, 1)", "(5, 7)"]),
    "pos_weight_text": ({"pos_weight": "a"}, TypeError, ["pos_weight"]),
    "reduction": ({"reduction": 3}, (ValueError, TypeError), ["reduction", "3"]),
    "logits_complex": ({"logits": logits() + 0j}, TypeError, ["logits", "complex128"]),
    "out_shape": ({"out": np.zeros((C, N))}, ValueError, ["out", "(7, 5)", "(5, 7)"]),
    "out_dtype": ({"out": np.zeros((N, C), int)}, TypeError, ["out", "int64", "float64"]),
    "out_frozen": ({"out": frozen((N, C))}, ValueError, ["out", "read-only"]),
    "out_reduced": ({"out": np.zeros((N, C)), "reduction": "sum"}, ValueError, ["out", "sum", "none"]),
}


def message_of(function, arguments, exception):
    with pytest.raises(exception) as caught:
        function(arguments.pop("logits"), arguments.pop("target"), **arguments)
    return str(caught.value)


def check(function, defaults, changes, exception, fragments):
    """The message holds every fragment; every array that was given holds what it held."""
    arguments = defaults | changes
    outputs = {"out", "grad_out"} & set(inspect.signature(function).parameters)
    if arguments["reduction"] != "none":
        outputs.discard("out")
    shapes = {"out": defaults["out_shape"], "grad_out": (N, C)}
    arguments |= {name: np.full(shapes[name], 77.0) for name in outputs if name not in changes}
    del arguments["out_shape"]
    held = {name: np.array(value, copy=True) for name, value in arguments.items() if isinstance(value, np.ndarray)}
    given = dict(arguments)
    message = message_of(function, arguments, exception)
    for fragment in fragments:
        assert fragment in message, f"{fragment!r} is not in: {message}"
    for name, before in held.items():
        np.testing.assert_array_equal(given[name], before, err_msg=f"{name} was written")


@pytest.mark.parametrize("function", BOTH_CROSS_ENTROPIES)
@pytest.mark.parametrize("case", CROSS_ENTROPY)
def test_cross_entropy_argument(case, function):
    defaults = {"logits": logits(), "target": indices(), "reduction": "none", "out_shape": N}
    check(function, defaults, *CROSS_ENTROPY[case])


@pytest.mark.parametrize("case", GRADIENT)
def test_gradient_argument(case):
    changes, exception, fragments = GRADIENT[case]
    defaults = {"logits": logits(), "reduction": "none"}
    check(
        simdloss.cross_entropy_and_grad, defaults | {"target": indices(), "out_shape": N}, changes, exception, fragments
    )
    binary = simdloss.binary_cross_entropy_with_logits_and_grad
    check(binary, defaults | {"target": soft, "out_shape": (N, C)}, changes, exception, fragments)
    with pytest.raises(exception) as caught:
        simdloss.logsumexp_and_grad(logits(), **changes)
    assert "grad_out" in str(caught.value)


@pytest.mark.parametrize("function", BOTH_BINARIES)
@pytest.mark.parametrize("case", BINARY)
def test_binary_cross_entropy_argument(case, function):
    defaults = {"logits": logits(), "target": soft, "reduction": "none", "out_shape": (N, C)}
    check(function, defaults, *BINARY[case])


def test_bad_target_in_place_leaves_the_logits():
    x = logits()
    with pytest.raises(IndexError):
        simdloss.cross_entropy_and_grad(x, indices(_4=7), grad_out=x)
    np.testing.assert_array_equal(x, logits())


@pytest.mark.parametrize("at", [(0, 0), (0, 1), (1, 0), (2, 3)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_position_of_a_bad_target(at, order, axis):
    """In the target's own coordinates, however rows are walked, and the first in its C order where there are two."""
    shape = [3, 4]
    shape.insert(axis, C)
    target = np.zeros((3, 4), int, order)
    target[at] = 9
    target[2, 3] = 9
    with pytest.raises(IndexError) as caught:
        simdloss.cross_entropy(np.zeros(shape, order=order), target, axis=axis)
    assert f"[{at[0]}, {at[1]}]" in str(caught.value)


ROWS = [simdloss.softmax, simdloss.log_softmax, simdloss.logsumexp, simdloss.logsumexp_and_grad]


@pytest.mark.parametrize("function", ROWS)
def test_row_function_argument(function):
    for axis in (2, -3, (0, 2)):
        with pytest.raises(np.exceptions.AxisError, match=str(axis if isinstance(axis, int) else 2)):
            function(logits(), axis=axis)
    with pytest.raises(ValueError, match="axis"):
        function(logits(), axis=(0, 0))
    with pytest.raises(TypeError):
        function(logits(), axis=1.5)
    for dtype in (complex, np.longdouble, object, "U3"):
        with pytest.raises(TypeError, match=str(np.dtype(dtype))):
            function(logits().astype(dtype))
    shape = () if function is simdloss.logsumexp else (N,) if function is simdloss.logsumexp_and_grad else (N, C)
    for out, exception in [
        (np.zeros((*shape, 2)), ValueError),
        (np.zeros(shape, np.float32), TypeError),
        (frozen(shape), ValueError),
        ([0.0], TypeError),
    ]:
        with pytest.raises(exception, match="out"):
            function(logits(), out=out)


@pytest.mark.parametrize("function", [*BOTH_CROSS_ENTROPIES, *BOTH_BINARIES])
def test_two_positional_arguments(function):
    target = indices() if function in BOTH_CROSS_ENTROPIES else soft
    with pytest.raises(TypeError):
        function(logits(), target, None)
    with pytest.raises(TypeError, match="unexpected keyword"):
        function(logits(), target, wait=None)
    with pytest.raises(TypeError):
        function(logits())


def test_signatures_are_visible():
    """help() and IDEs see the arguments, in the documented order."""
    parameters = list(inspect.signature(simdloss.cross_entropy_and_grad).parameters)
    assert parameters == [
        *("logits", "target", "weight", "sample_weight", "ignore_index", "label_smoothing", "lse_square_scale"),
        *("reduction", "axis", "return_lse", "out", "grad_out"),
    ]
    assert list(inspect.signature(simdloss.cross_entropy).parameters) == parameters[:-1]
    assert list(inspect.signature(simdloss.logsumexp).parameters) == [
        *("a", "axis", "b", "keepdims", "return_sign", "out")
    ]


def test_every_public_name_is_documented():
    assert "cross_entropy" in simdloss.__all__
    for name in simdloss.__all__:
        value = getattr(simdloss, name)
        if callable(value):
            assert value.__doc__, name
            assert len(value.__doc__) > 60, name
