"""SciPy: the ufuncs and row functions of `scipy.special`, which use one thread."""

import importlib

import numpy as np

from ..form import Form


def start(threads):
    """Import the library."""
    global special
    special = importlib.import_module("scipy.special")


def sigmoid(x, y):
    """Return the forms of 1 / (1 + exp(-x))."""
    return [Form("expit(x, out=y)", {"expit": special.expit, "x": x, "y": y})]


def log_sigmoid(x, y):
    """Return the forms of log(sigmoid(x))."""
    return [Form("log_expit(x, out=y)", {"log_expit": special.log_expit, "x": x, "y": y})]


def log_sigmoid_and_grad(x, y, dy):
    """Return the forms of the log-sigmoid and sigmoid(-x)."""
    text = "log_expit(x, out=y), expit(negative(x, out=dy), out=dy)"
    return [Form(text, {**vars(special), "negative": np.negative, "x": x, "y": y, "dy": dy})]


def binary_cross_entropy_with_logits_and_grad(x, target, grad):
    """Return the forms of mean((1 - target) x - log(sigmoid(x))) and its gradient."""
    terms = np.empty_like(x)

    def run():
        np.subtract(1, target, out=grad)
        np.multiply(grad, x, out=grad)
        special.log_expit(x, out=terms)
        np.subtract(grad, terms, out=terms)
        special.expit(x, out=grad)
        np.subtract(grad, target, out=grad)
        np.divide(grad, x.size, out=grad)
        return terms.sum() / x.size, grad

    return [Form("run()", {"run": run}, label="log_expit, expit")]


def logsumexp(x, lse):
    """Return the forms of log(sum(exp(x)))."""
    return [Form("logsumexp(x, axis=-1)", {"logsumexp": special.logsumexp, "x": x})]


def softmax(x, y):
    """Return the forms of exp(x) / sum(exp(x))."""
    return [Form("softmax(x, axis=-1)", {"softmax": special.softmax, "x": x})]


def log_softmax(x, y):
    """Return the forms of x - log(sum(exp(x)))."""
    return [Form("log_softmax(x, axis=-1)", {"log_softmax": special.log_softmax, "x": x})]
