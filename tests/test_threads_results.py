"""Calls in several threads: the same bytes for any number of them, whoever takes which block, and whatever fails."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import simdloss

COUNTS = [1, 2, 3, 4, 7]
SIZE = 1_300_000  # elements of float32 that are worth several threads in every routine
SHAPES = {
    "short": (SIZE // 10 + 7, 10),
    "middle": (SIZE // 1000 + 7, 1000),
    "long": (23, SIZE // 23),
    "longest": (3, SIZE // 3),  # threads share each row
}


def elementwise(x):
    wide = np.repeat(x.ravel(), 2)[::2]
    target = np.linspace(0, 1, x.size, dtype=x.dtype).reshape(x.shape)
    bce = simdloss.binary_cross_entropy_with_logits_and_grad
    return {
        "sigmoid": lambda: (simdloss.sigmoid(x),),
        "log_sigmoid": lambda: (simdloss.log_sigmoid(x),),
        "softplus": lambda: (simdloss.softplus(x, out=np.empty_like(x)),),
        "log_sigmoid_and_grad": lambda: simdloss.log_sigmoid_and_grad(x),
        "strided": lambda: simdloss.log_sigmoid_and_grad(wide),
        "bce": lambda: bce(x, target),
        "bce.none": lambda: bce(x, target, reduction="none", weight=target, pos_weight=x),
        "bce.strided": lambda: bce(wide, target.ravel(), reduction="sum"),
        "bce.broadcast": lambda: bce(x, target, weight=target[:1], pos_weight=target[-1]),
        "bce.half": lambda: bce(x.astype(np.float16), x > 0),
    }


def rowwise(x):
    rows, classes = x.shape
    rng = np.random.default_rng(rows)
    target = rng.integers(-1, classes, rows)
    soft = rng.uniform(size=x.shape).astype(x.dtype)
    weight, sample_weight = soft[0].copy(), rng.uniform(size=rows)
    options = {"ignore_index": -1, "weight": weight, "sample_weight": sample_weight, "return_lse": True}
    first, half = np.ascontiguousarray(x.T), x.astype(np.float16)
    middle = np.moveaxis(x[: rows // 3 * 3].reshape(rows // 3, 3, classes), 1, 2).copy()
    ce = simdloss.cross_entropy_and_grad
    return {
        "logsumexp": lambda: (simdloss.logsumexp(x, axis=1),),
        "logsumexp.b": lambda: simdloss.logsumexp(x, axis=1, b=soft - 0.5, return_sign=True),
        "logsumexp_and_grad": lambda: simdloss.logsumexp_and_grad(x),
        "softmax": lambda: (simdloss.softmax(x),),
        "softmax.reversed": lambda: (simdloss.softmax(x[::-1, ::-1]),),
        "log_softmax": lambda: (simdloss.log_softmax(x),),
        "log_softmax.half": lambda: (simdloss.log_softmax(half),),
        "log_softmax.middle": lambda: (simdloss.log_softmax(middle, axis=1),),
        "ce": lambda: ce(x, target, ignore_index=-1),
        "ce.first": lambda: ce(first, target, ignore_index=-1, axis=0, reduction="sum"),
        "ce.options": lambda: ce(x, target, **options),
        "ce.none": lambda: ce(x, target, **options, reduction="none"),
        "ce.soft": lambda: ce(x, soft, label_smoothing=0.1, lse_square_scale=0.1, sample_weight=sample_weight),
        "ce.loss": lambda: (simdloss.cross_entropy(x, target, ignore_index=-1),),
    }


def as_bytes(results):
    return [np.asarray(result).tobytes("A") for result in results]


def check(calls):
    for name, call in calls.items():
        found = {}
        for n in COUNTS:
            with simdloss.num_threads(n):
                found[n] = as_bytes(call())
        assert all(found[n] == found[1] for n in COUNTS), name


def test_elementwise(isa, dtype, rng):
    check(elementwise(rng.normal(0, 9, SHAPES["short"]).astype(dtype)))


@pytest.mark.parametrize("shape", SHAPES)
def test_rows(isa, dtype, shape, rng):
    check(rowwise(rng.normal(0, 9, SHAPES[shape]).astype(dtype)))


def test_sums_that_cancel(rng):
    """What is left where terms of all sizes cancel are the errors of additions: they too are those of one thread."""
    loss = rng.lognormal(0, 30, 300_000)
    x, target = np.zeros((2 * len(loss), 2)), np.zeros(2 * len(loss), int)
    left = []
    for _ in range(3):
        order = rng.permutation(len(x))
        x[order, 1] = np.concatenate([loss, loss])
        sign = np.where(order.argsort() < len(loss), 1, -1)
        found = set()
        for n in COUNTS:
            with simdloss.num_threads(n):
                found.add(simdloss.cross_entropy(x, target, sample_weight=sign, reduction="sum"))
        left += found
    assert len(left) == 3
    assert 0 < max(map(abs, left)) < 1e-24 * loss.sum()


def test_sums_of_many_blocks():
    """So many rows that blocks grow, as their number is bounded."""
    x = np.resize(np.array([[0, 3e6], [1e6, 0], [0, 2**-20], [-5, 5]], np.float32), (20_000_003, 2))
    target = np.zeros(len(x), np.int32)
    want = np.resize(simdloss.cross_entropy(x[:4].astype(float), target[:4], reduction="none"), len(x))
    for n in (1, 3):
        with simdloss.num_threads(n):
            found = simdloss.cross_entropy(x, target, reduction="sum")
            assert found == pytest.approx(float(want.sum(dtype=np.longdouble)), rel=1e-12)


# --- Who takes which block, made certain by a pool that does as told ---


@pytest.fixture
def submitted(monkeypatch):
    """The tasks given to the pool, each as (pool, task), and how the pool treats them: replace `submit` by anything."""
    found = []
    real = ThreadPoolExecutor.submit

    def submit(pool, task):
        found.append((pool, task))
        return real(pool, task)

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    return found


X = np.linspace(-9, 9, SIZE, dtype=np.float32)


def large_call():
    return simdloss.binary_cross_entropy_with_logits_and_grad(X, X)


def test_threads_are_asked_for(submitted):
    with simdloss.num_threads(3):
        large_call()
    assert len(submitted) == 2


@pytest.mark.parametrize("axis", [0, 1])
def test_one_row_is_shared(submitted, axis):
    x = np.resize(X, (1, 3_000_000))
    x = x if axis == 1 else x.T
    calls = {
        "logsumexp": (lambda: simdloss.logsumexp(x, axis=axis), 1),
        "logsumexp_and_grad": (lambda: simdloss.logsumexp_and_grad(x, axis=axis, grad_out=out), 2),
        "softmax": (lambda: simdloss.softmax(x, axis=axis, out=out), 2),
        "log_softmax": (lambda: simdloss.log_softmax(x, axis=axis, out=out), 2),
        "cross_entropy": (lambda: simdloss.cross_entropy(x, [0], axis=axis), 1),
        "cross_entropy_and_grad": (lambda: simdloss.cross_entropy_and_grad(x, [0], axis=axis, grad_out=out), 2),
    }
    out = np.empty_like(x)
    for name, (call, walks) in calls.items():
        del submitted[:]
        with simdloss.num_threads(3):
            call()
        assert len(submitted) == 2 * walks, name


def test_one_thread_is_the_default(submitted):
    large_call()
    assert not submitted


def test_small_calls_stay_in_their_thread(submitted):
    with simdloss.num_threads(4):
        simdloss.sigmoid(X[:50_000])
        simdloss.softmax(X[:100_000].reshape(-1, 100))
    assert not submitted


def test_no_more_threads_than_pay(submitted):
    with simdloss.num_threads(10_000):
        large_call()
    assert 0 < len(submitted) < 100


def test_helpers_take_all_blocks(monkeypatch):
    """The caller finds nothing left to do."""
    real = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda pool, task: real(pool, task).result())
    alone = as_bytes(large_call())
    with simdloss.num_threads(2):
        assert as_bytes(large_call()) == alone


def test_helpers_that_never_come(monkeypatch):
    """As in a pool that others keep busy: nobody waits, and who comes later does no harm."""
    late = []
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda pool, task: late.append(task))
    alone = as_bytes(large_call())
    with simdloss.num_threads(4):
        loss, grad = large_call()
    assert as_bytes((loss, grad)) == alone
    grad[:] = 5
    for task in late:
        task()
    assert len(late) == 3
    assert np.all(grad == 5)


def test_no_thread_can_be_started(monkeypatch):
    def submit(pool, task):
        raise RuntimeError("can't start new thread")

    alone = as_bytes(large_call())
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with simdloss.num_threads(4):
        assert as_bytes(large_call()) == alone


@pytest.mark.parametrize("rows", [9, 1])
def test_interrupted_while_helpers_start(monkeypatch, rows):
    """The exception comes through, and by then no helper writes any more, though it was in the middle of its part."""
    real = ThreadPoolExecutor.submit
    x = np.resize(X, (rows, 12_000_000 // rows))
    out = np.zeros_like(x)

    def submit(pool, task):
        real(pool, task)
        while not out[0, 0]:
            time.sleep(0.0001)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with simdloss.num_threads(2), pytest.raises(KeyboardInterrupt):
        simdloss.softmax(x, out=out)
    seen = out.copy()
    time.sleep(0.1)
    np.testing.assert_array_equal(out, seen)
    if rows > 1:
        assert seen[0, -1] > 0
        assert np.all((seen > 0) == (seen[:, -1:] > 0)), "a row in part"
    monkeypatch.undo()
    with simdloss.num_threads(2):
        np.testing.assert_array_equal(simdloss.softmax(x)[-1], simdloss.softmax(x[-1]))


def test_call_from_a_thread_of_the_pool(submitted):
    """It computes alone, and rightly."""
    with simdloss.num_threads(2):
        alone = as_bytes(large_call())
    pool = submitted[0][0]
    del submitted[:]

    def inside():
        with simdloss.num_threads(4):
            return as_bytes(large_call())

    assert pool.submit(inside).result() == alone
    assert [task for _, task in submitted] == [inside]


def test_first_bad_target_of_many():
    """Several threads look for one; the error is that of a single thread, and the outputs are untouched."""
    x, out = np.zeros((SIZE, 2), np.float32), np.full(SIZE, 7, np.float32)
    target = np.zeros(SIZE, int)
    target[650_000:] = 9
    with simdloss.num_threads(4), pytest.raises(IndexError, match=r"target\[650000\] is 9"):
        simdloss.cross_entropy(x, target, reduction="none", out=out)
    assert np.all(out == 7)
