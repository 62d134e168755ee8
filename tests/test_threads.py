"""Calls from many Python threads at once: the same results, and the GIL is released where it pays."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import simdloss

THREADS = 8


def tasks(dtype):
    """Calls of every routine on inputs of several sizes, small ones that hold the GIL and large ones that do not."""
    found = []
    for rows, classes in [(3, 5), (700, 10), (64, 1000), (5, 20_000)]:
        rng = np.random.default_rng(rows)
        x = rng.normal(size=(rows, classes)).astype(dtype)
        target = rng.integers(0, classes, rows)
        soft = rng.uniform(size=x.shape).astype(dtype)
        f_order, half = np.asfortranarray(x), x.astype(np.float16)
        found += [
            lambda x=x: simdloss.sigmoid(x),
            lambda x=x: simdloss.log_sigmoid(x[:, ::2]),
            lambda x=half: simdloss.softplus(x),
            lambda x=x: np.concatenate(simdloss.log_sigmoid_and_grad(x)),
            lambda x=x: simdloss.logsumexp(x, axis=0),
            lambda x=x: simdloss.logsumexp_and_grad(x)[1],
            lambda x=f_order: simdloss.softmax(x),
            lambda x=x: simdloss.log_softmax(x, axis=None),
            lambda x=x, t=target: simdloss.cross_entropy_and_grad(x, t)[1],
            lambda x=f_order, t=soft: simdloss.cross_entropy_and_grad(x, t)[1],
            lambda x=x, t=target: np.array(simdloss.cross_entropy(x, t)),
            lambda x=x, t=soft: simdloss.binary_cross_entropy_with_logits_and_grad(x, t)[1],
        ]
    return found


def test_concurrent_calls(isa, dtype):
    calls = tasks(dtype)
    alone = [call() for call in calls]
    start = threading.Barrier(THREADS)

    def work(seed):
        order = np.random.default_rng(seed).permutation(len(calls) * 3) % len(calls)
        start.wait()
        return all(np.array_equal(calls[i](), alone[i]) for i in order)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            assert all(pool.map(work, range(THREADS)))
    finally:
        sys.setswitchinterval(interval)


def test_concurrent_errors(isa):
    """An error of one thread stays in it."""

    def work(i):
        target = np.full(500, 9 if i % 2 else 3)
        try:
            return simdloss.cross_entropy(np.zeros((500, 7)), target)
        except IndexError as error:
            return str(error)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(work, range(200)))
    assert all(value == pytest.approx(np.log(7)) for value in found[::2])
    assert all("9" in message for message in found[1::2])


LARGE = (3000, 2000)
LONG_CALLS = {
    "sigmoid": lambda x, out: simdloss.sigmoid(x, out=out),
    "ufunc": lambda x, out: simdloss.ufuncs.sigmoid(x, out=out),
    "logsumexp": lambda x, out: simdloss.logsumexp(x, axis=-1),
    "softmax": lambda x, out: simdloss.softmax(x, out=out),
    "cross_entropy_and_grad": lambda x, out: simdloss.cross_entropy_and_grad(x, np.zeros(len(x), int), grad_out=out),
    "binary_cross_entropy": lambda x, out: simdloss.binary_cross_entropy_with_logits_and_grad(x, x, grad_out=out),
}


def silence(call):
    """The longest share of one call in another thread during which this thread did not run."""
    running, seen = threading.Event(), []

    def work():
        running.set()
        begin = time.perf_counter()
        call()
        seen.append((begin, time.perf_counter()))

    thread = threading.Thread(target=work)
    thread.start()
    running.wait()
    ticks = []
    while not seen:
        ticks.append(time.perf_counter())
    thread.join()
    begin, end = seen[0]
    during = [tick for tick in ticks if begin < tick < end]
    return max(np.diff([begin, *during, end])) / (end - begin)


@pytest.mark.parametrize("name", LONG_CALLS)
def test_gil_is_released(name):
    """While a long call runs in another thread, this one goes on counting; on a busy machine not at every try."""
    x, out = np.ones(LARGE), np.ones(LARGE)
    call = LONG_CALLS[name]
    call(x, out)
    assert any(silence(lambda: call(x, out)) < 0.75 for _ in range(20))
