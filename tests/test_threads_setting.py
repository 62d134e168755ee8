"""How many threads calls may use: set, asked, restored, and "auto"."""

import os
import subprocess
import sys
import threading
from contextvars import copy_context

import pytest

import simdloss
from simdloss._cpus import available_cpus

BAD = [(0, ValueError), (-1, ValueError), ("", ValueError), ("4", ValueError), (2.0, TypeError), (None, TypeError)]


@pytest.fixture(autouse=True)
def _one_thread():
    before = simdloss.get_num_threads()
    simdloss.set_num_threads(1)
    yield
    simdloss.set_num_threads(before)


def in_fresh_process(setting, code="import simdloss; print(simdloss.get_num_threads())"):
    environment = {name: value for name, value in os.environ.items() if name != "SIMDLOSS_NUM_THREADS"}
    if setting is not None:
        environment["SIMDLOSS_NUM_THREADS"] = setting
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("setting", "want"), [(None, 1), ("", 1), ("1", 1), ("3", 3), ("auto", available_cpus())])
def test_environment(setting, want):
    assert in_fresh_process(setting).stdout.strip() == str(want)


@pytest.mark.parametrize("setting", ["0", "-2", "2.0", "Auto", " 2"])
def test_bad_environment(setting):
    last = in_fresh_process(setting).stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: the environment variable SIMDLOSS_NUM_THREADS must be a positive integer")
    assert setting in last


def test_set_and_get():
    simdloss.set_num_threads(5)
    assert simdloss.get_num_threads() == 5
    simdloss.set_num_threads("auto")
    assert simdloss.get_num_threads() == available_cpus() >= 1


@pytest.mark.parametrize(("n", "error"), BAD)
def test_bad_number(n, error):
    simdloss.set_num_threads(3)
    with pytest.raises(error, match="n must be a positive integer or 'auto'; got") as caught:
        simdloss.set_num_threads(n)
    assert repr(n) in str(caught.value)
    with pytest.raises(error, match="n must be a positive integer or 'auto'; got"), simdloss.num_threads(n):
        pass
    assert simdloss.get_num_threads() == 3


def test_nested_blocks():
    seen = []
    with simdloss.num_threads(2) as outer:
        with simdloss.num_threads(4):
            seen.append(simdloss.get_num_threads())
        seen.append(simdloss.get_num_threads())
        with pytest.raises(TypeError), simdloss.num_threads(6):
            simdloss.sigmoid("no number")
        seen.append(simdloss.get_num_threads())
    assert [outer, *seen, simdloss.get_num_threads()] == [2, 4, 2, 2, 1]


def test_decorator():
    decorated = simdloss.num_threads(6)(simdloss.get_num_threads)
    assert [decorated(), simdloss.get_num_threads(), decorated()] == [6, 1, 6]


def test_setting_inside_a_block_holds_after_it():
    with simdloss.num_threads(2):
        simdloss.set_num_threads(3)
        assert simdloss.get_num_threads() == 2
    assert simdloss.get_num_threads() == 3


def test_blocks_of_two_threads_that_overlap():
    """Each thread sees its own block, and neither leaves anything behind, in whatever order they end."""
    simdloss.set_num_threads(7)
    entered, left, seen = threading.Event(), threading.Event(), []

    def other():
        seen.append(simdloss.get_num_threads())
        with simdloss.num_threads(2):
            entered.set()
            left.wait()
            seen.append(simdloss.get_num_threads())
        seen.append(simdloss.get_num_threads())

    thread = threading.Thread(target=other)
    with simdloss.num_threads(3):
        thread.start()
        entered.wait()
        assert simdloss.get_num_threads() == 3
    left.set()
    thread.join()
    assert seen == [7, 2, 7]
    assert simdloss.get_num_threads() == 7


def test_block_holds_in_copies_of_the_context():
    with simdloss.num_threads(4):
        copy = copy_context()
    assert copy.run(simdloss.get_num_threads) == 4
    assert simdloss.get_num_threads() == 1


# --- "auto" ---

CPUS = len(os.sched_getaffinity(0))


def write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


V1 = "sys/fs/cgroup/cpu"


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({}, CPUS),
        ({"proc/self/cgroup": "0::/\n"}, CPUS),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, CPUS),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "110000 100000\n"}, min(2, CPUS)),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "10000000 100000\n"}, CPUS),
        # The tightest of the groups around decides.
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "50000 100000\n"}, 1),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            },
            1,
        ),
        # Version 1, alone and beside a version 2 that does not govern the CPU; in a container the path is the host's.
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/a\n1:name=systemd:/x:y\n0::/\n",
                f"{V1}/a/cpu.cfs_quota_us": "90000\n",
                f"{V1}/a/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/docker/1234\n",
                f"{V1}/cpu.cfs_quota_us": "90000\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/\n",
                f"{V1}/cpu.cfs_quota_us": "-1\n",
                f"{V1}/cpu.cfs_period_us": "100000\n",
            },
            CPUS,
        ),
    ],
)
def test_control_groups(tmp_path, files, want):
    write(tmp_path, files)
    assert available_cpus(tmp_path) == want


def test_affinity():
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import simdloss as s; "
    assert in_fresh_process("auto", code + "print(s.get_num_threads())").stdout.strip() == "1"
