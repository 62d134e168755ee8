"""Several threads and the process around them: forks, many callers, idle time, the end of the interpreter."""

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import simdloss

PREPARE = """
import atexit, multiprocessing, os, sys, threading
import numpy as np
import simdloss

x = np.linspace(-9, 9, 2_000_000, dtype=np.float32).reshape(-1, 10)

def call(unused=None):
    return simdloss.softmax(x).tobytes()

def helpers():
    return sum(thread.name.startswith("simdloss") and thread.is_alive() for thread in threading.enumerate())

alone = call()
simdloss.set_num_threads(3)
"""


def run(code):
    """In a fresh process, which must end by itself and say nothing on stderr (Python 3.12 would, of forks)."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PREPARE + textwrap.dedent(code)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout.split()


def test_threads_start_when_needed_and_stay():
    code = """
        print(helpers())
        assert call() == alone
        print(helpers())
        assert call() == alone
        simdloss.set_num_threads(2)
        assert call() == alone
        print(helpers())
    """
    before, first, later = map(int, run(code))
    # A second helper starts unless the first is free again before it is asked for.
    assert before == 0 < first <= later <= 2


def test_more_threads_later():
    code = """
        for n in (2, 3, 4, 2, 3):
            simdloss.set_num_threads(n)
            assert call() == alone
        print(max(helpers(), 3))
    """
    assert run(code)[0] in "345"


def test_fork():
    """The child has no helpers, starts its own, and ends; the parent's go on, and a grandchild does as well."""
    code = """
        def child(depth):
            before = helpers()
            right = call() == alone
            if depth:
                right = right and forked(depth - 1)
            sys.exit(0 if right and before == 0 < helpers() <= 2 else 1)

        def forked(depth):
            pid = os.fork()
            if pid == 0:
                child(depth)
            return os.waitpid(pid, 0)[1] == 0

        assert call() == alone
        assert forked(1)
        assert call() == alone
        print(0 < helpers() <= 2)
    """
    assert run(code) == ["True"]


def test_fork_while_other_threads_compute():
    code = """
        stop = threading.Event()

        def keep_computing():
            while not stop.is_set():
                assert call() == alone

        others = [threading.Thread(target=keep_computing) for _ in range(3)]
        for other in others:
            other.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if call() == alone else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        for other in others:
            other.join()
        print("done")
    """
    assert run(code) == ["done"]


def test_forked_workers():
    code = """
        assert call() == alone
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(call, range(4)) == [alone] * 4
        print(call() == alone)
    """
    assert run(code) == ["True"]


def test_exit_handlers():
    """Before and after the time when threads can be started."""
    code = """
        atexit.register(lambda: print(call() == alone, flush=True))
        threading._register_atexit(lambda: print(call() == alone, flush=True))
        assert call() == alone
    """
    assert run(code) == ["True", "True"]


def test_finaliser_at_the_end_of_the_interpreter():
    code = """
        class AtEnd:
            # By then the globals are gone.
            def __del__(self, softmax=simdloss.softmax, x=x, alone=alone, write=os.write):
                write(1, b"right" if softmax(x).tobytes() == alone else b"wrong")

        kept = AtEnd()
        assert call() == alone
    """
    assert run(code) == ["right"]


def test_end_while_a_daemon_computes():
    code = """
        def keep_computing():
            while True:
                call()

        threading.Thread(target=keep_computing, daemon=True).start()
        assert call() == alone
    """
    assert run(code) == []


X = np.linspace(-9, 9, 2_000_000, dtype=np.float32).reshape(-1, 10)


def test_many_callers():
    """They share one pool, and each gets its own results."""
    inputs = [X + np.float32(i) for i in range(8)]
    alone = [simdloss.logsumexp_and_grad(x) for x in inputs]
    start = threading.Barrier(len(inputs))

    def work(i):
        start.wait()
        for n in (2, 3, 4, 3):
            with simdloss.num_threads(n):
                lse, grad = simdloss.logsumexp_and_grad(inputs[i])
                assert lse.tobytes() == alone[i][0].tobytes()
                assert grad.tobytes() == alone[i][1].tobytes()
        return True

    with ThreadPoolExecutor(len(inputs)) as pool:
        assert all(pool.map(work, range(len(inputs))))


def test_idle_threads_use_no_cpu():
    with simdloss.num_threads(4):
        simdloss.softmax(X)
        before = time.process_time()
        time.sleep(0.3)
        assert time.process_time() - before < 0.03
