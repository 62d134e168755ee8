"""ONNX Runtime: models of one operator, input and output bound to the arrays."""

import importlib

import numpy as np

from ..form import Form

# What a model of one operator needs to be read by every ONNX Runtime of the last years.
_OPSET, _IR_VERSION = 17, 9


def start(threads):
    """Import the library and set its threads."""
    global ort, helper, _options
    ort = importlib.import_module("onnxruntime")
    helper = importlib.import_module("onnx.helper")
    ort.set_default_logger_severity(4)
    _options = ort.SessionOptions()
    _options.intra_op_num_threads = threads
    _options.inter_op_num_threads = 1


def _operator(name, inputs, output, finish=np.asarray, **attributes):
    """Return the forms of one operator: none where it is not implemented for the dtype."""
    values = {key: helper.make_tensor_value_info(key, _type(array), array.shape) for key, array in inputs.items()}
    result = helper.make_tensor_value_info("output", _type(output), output.shape)
    node = helper.make_node(name, list(inputs), ["output"], **attributes)
    graph = helper.make_graph([node], name, list(values.values()), [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    try:
        session = ort.InferenceSession(model.SerializeToString(), _options, providers=["CPUExecutionProvider"])
    except ort.capi.onnxruntime_pybind11_state.NotImplemented:
        return []
    binding = session.io_binding()
    kept = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array)) for array in inputs.values()]
    for key, value in zip(inputs, kept, strict=True):
        binding.bind_ortvalue_input(key, value)
    binding.bind_output("output", "cpu", 0, output.dtype, output.shape, output.ctypes.data)
    names = {"session": session, "binding": binding, "kept": kept}
    return [Form("session.run_with_iobinding(binding)", names, finish=lambda _: finish(output))]


def _type(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def sigmoid(x, y):
    """Return the forms of 1 / (1 + exp(-x))."""
    return _operator("Sigmoid", {"x": x}, y)


def softplus(x, y):
    """Return the forms of log(1 + exp(x))."""
    return _operator("Softplus", {"x": x}, y)


def logsumexp(x, lse):
    """Return the forms of log(sum(exp(x)))."""
    return _operator("ReduceLogSumExp", {"x": x}, lse, axes=[1], keepdims=0)


def softmax(x, y):
    """Return the forms of exp(x) / sum(exp(x))."""
    return _operator("Softmax", {"x": x}, y, axis=-1)


def log_softmax(x, y):
    """Return the forms of x - log(sum(exp(x)))."""
    return _operator("LogSoftmax", {"x": x}, y, axis=-1)


def cross_entropy(x, target, axis=-1):
    """Return the forms of the mean cross-entropy; the operator has the classes in axis 1."""
    if axis % x.ndim != 1:
        return []
    return _operator("SoftmaxCrossEntropyLoss", {"x": x, "target": target}, np.empty((), x.dtype))
