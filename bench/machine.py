"""What the benchmark runs on: CPU, caches, versions."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.introspect import opt_func_info

import simdloss

# Used, and reported as assumed, where the system does not tell: the sizes of a common laptop.
ASSUMED_CACHES = {1: 32 << 10, 2: 1 << 20, 3: 16 << 20}

_SYSFS_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Machine:
    """The machine and the versions that the figures belong to; `caches` in bytes by level."""

    cpu: str
    cores: int
    system: str
    caches: dict[int, int]
    caches_assumed: bool
    python: str
    numpy: str
    numpy_exp: str
    simdloss: str
    isas: list[str]
    threads: int
    reference: dict[str, str]

    def level(self, nbytes):
        """Return the name of the memory that `nbytes` fit in: "L1", "L2", "L3" or "RAM"."""
        for number, size in sorted(self.caches.items()):
            if nbytes <= size:
                return f"L{number}"
        return "RAM"


def use_threads(threads):
    """Make simdloss use that many, whatever SIMDLOSS_NUM_THREADS says."""
    simdloss.set_num_threads(threads)


def describe(threads=1):
    """Return the `Machine` this process runs on, of which `threads` are used."""
    caches = _sysfs_caches() or _sysconf_caches()
    return Machine(
        cpu=_cpu_model(),
        cores=_usable_cores(),
        system=f"{platform.system()} {platform.machine()}",
        caches=caches or ASSUMED_CACHES,
        caches_assumed=not caches,
        python=platform.python_version(),
        numpy=np.__version__,
        numpy_exp=_numpy_exp_target(),
        simdloss=simdloss.__version__,
        isas=list(simdloss.isas()),
        threads=threads,
        reference={
            "float32": f"float64 ({np.finfo(np.float64).nmant} bits)",
            "float64": f"longdouble ({np.finfo(np.longdouble).nmant} bits)",
        },
    )


def _cpu_model():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cores():
    # A container often may use fewer cores than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _sysfs_caches():
    caches = {}
    for index in sorted(_SYSFS_CACHES.glob("index*")):
        # Some ARM systems list caches without their sizes.
        if (index / "type").read_text().strip() == "Instruction" or not (index / "size").exists():
            continue
        size = (index / "size").read_text().strip()
        caches[int((index / "level").read_text())] = int(size[:-1]) * _UNITS[size[-1]]
    return caches


def _sysconf_caches():
    names = {1: "SC_LEVEL1_DCACHE_SIZE", 2: "SC_LEVEL2_CACHE_SIZE", 3: "SC_LEVEL3_CACHE_SIZE"}
    known = getattr(os, "sysconf_names", {})
    sizes = {level: os.sysconf(name) for level, name in names.items() if name in known}
    return {level: size for level, size in sizes.items() if size > 0}


def _numpy_exp_target():
    # NPY_DISABLE_CPU_FEATURES changes what the baseline is, so the report says which code np.exp takes.
    targets = opt_func_info(func_name="^exp$", signature="float32")["exp"]
    return next(iter(targets.values()))["current"]
