"""Stable losses, log-sum-exps and their gradients on NumPy arrays, in SIMD."""

from importlib.metadata import version

from simdloss import ufuncs
from simdloss._binary_cross_entropy import binary_cross_entropy_with_logits, binary_cross_entropy_with_logits_and_grad
from simdloss._cross_entropy import cross_entropy, cross_entropy_and_grad
from simdloss._dispatch import get_isa, isas, use_isa
from simdloss._elementwise import log_sigmoid, log_sigmoid_and_grad, sigmoid, softplus
from simdloss._rows import log_softmax, logsumexp, logsumexp_and_grad, softmax
from simdloss._threads import get_num_threads, num_threads, set_num_threads

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_and_grad",
    "cross_entropy",
    "cross_entropy_and_grad",
    "get_isa",
    "get_num_threads",
    "isas",
    "log_sigmoid",
    "log_sigmoid_and_grad",
    "log_softmax",
    "logsumexp",
    "logsumexp_and_grad",
    "num_threads",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "softplus",
    "ufuncs",
    "use_isa",
]

__version__ = version("simdloss")
