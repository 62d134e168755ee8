"""What is built: instruction sets only where they belong, nothing exported, a wheel that needs no compiler."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WIDE = {"ymm": re.compile(r"%[yz]mm\d"), "zmm": re.compile(r"%zmm\d|%k[1-7]\b"), "vex": re.compile(r"\tv[a-z]")}


def run(*command, **options):
    found = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert found.returncode == 0, f"{command}:\n{found.stdout[-3000:]}\n{found.stderr[-3000:]}"
    return found.stdout


def tool(name):
    path = shutil.which(name)
    assert path, f"{name} is needed (binutils, which every gcc brings)"
    return path


@dataclass
class Built:
    sources: Path
    sdist: Path
    wheel: Path
    objects: list[Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    """One `python -m build` of a copy of the checkout: the sdist from that copy, the wheel from the sdist."""
    where = tmp_path_factory.mktemp("dist")
    sources = shutil.copytree(ROOT, where / "sources", ignore=shutil.ignore_patterns(".git"))
    run(sys.executable, "-m", "build", "--outdir", where, f"--config-setting=build-dir={where}/build", sources)
    (sdist,), (wheel,) = where.glob("*.tar.gz"), where.glob("*.whl")
    return Built(sources, sdist, wheel, sorted((where / "build").rglob("*.o")))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    """The Python of a new environment that holds the wheel, what it needs, and no way to a compiler."""
    where = tmp_path_factory.mktemp("installed")
    venv.create(where / "venv", with_pip=True)
    python = where / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "--only-binary=:all:", built.wheel, env=without_compiler())
    return python


def without_compiler():
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "SIMDLOSS_ISA"}}
    return kept | {"PATH": "/nowhere", "CC": "false", "CXX": "false"}


def disassembly(path):
    return run(tool("objdump"), "-d", "--no-show-raw-insn", path)


def kernels(objects):
    """Object files of the kernels, by the instruction set that their library is named after; not its table of names."""
    found = {}
    for path in objects:
        library = re.search(r"/(?:kernels|lanes)_([a-z0-9]+)_f(?:32|64)\.dir/", path.as_posix())
        if library and path.name != "table.c.o":
            found.setdefault(library[1], []).append(path)
    return found


def test_wide_registers_only_in_kernels(built):
    """Code that runs before the CPU was asked, or on any CPU, must be plain x86-64."""
    inside = {path for paths in kernels(built.objects).values() for path in paths}
    outside = [path for path in built.objects if path not in inside]
    assert len(outside) >= 5, "the modules' own objects were not found"
    for path in outside:
        code = disassembly(path)
        for kind, pattern in WIDE.items():
            assert not pattern.search(code), f"{path} holds {kind}: {pattern.search(code).group()}"


def test_kernels_keep_to_their_instruction_set(built):
    """And they do use it: a build that lost its flags would pass every other test."""
    found = kernels(built.objects)
    if "avx2" in found:
        for isa, forbidden, wanted in [
            ("portable", ["ymm", "zmm", "vex"], []),
            ("avx2", ["zmm"], ["ymm"]),
            ("avx512", [], ["zmm"]),
        ]:
            assert len(found[isa]) >= 10, f"two dtypes of every kernel file for {isa}"
            for path in found[isa]:
                code = disassembly(path)
                assert not [kind for kind in forbidden if WIDE[kind].search(code)], path
                assert all(WIDE[kind].search(code) for kind in wanted), path
    else:
        assert "portable" in found


def test_kernels_define_only_their_own_names(built):
    """A shared inline function with a name of its own could be linked into code that every CPU runs."""
    for isa, paths in kernels(built.objects).items():
        for path in paths:
            names = run(tool("nm"), "--defined-only", "--extern-only", "-f", "posix", path).split("\n")[:-1]
            assert names
            for name in names:
                assert re.fullmatch(rf"sl_\w+_f(32|64)_{isa}", name.split()[0]), f"{path} defines {name}"


def test_only_init_functions_are_exported(built, tmp_path):
    with zipfile.ZipFile(built.wheel) as wheel:
        modules = [name for name in wheel.namelist() if name.endswith(".so")]
        assert modules
        wheel.extractall(tmp_path, modules)
    for module in modules:
        exported = [
            line.split()[-1] for line in run(tool("nm"), "-D", "--defined-only", tmp_path / module).splitlines()
        ]
        assert exported == [f"PyInit_{Path(module).name.split('.')[0]}"]


def test_sdist_holds_sources_only(built):
    """Every file of it stands in the checkout, byte for byte; none was generated."""
    with tarfile.open(built.sdist) as sdist:
        members = {m.name.split("/", 1)[1]: sdist.extractfile(m).read() for m in sdist.getmembers() if m.isfile()}
    assert members.pop("PKG-INFO").startswith(b"Metadata-Version")
    for name, content in members.items():
        assert (built.sources / name).read_bytes() == content, name
        assert Path(name).suffix not in {".so", ".o", ".a", ".pyc", ".html", ".whl", ".gz"}, name
        assert b"\0" not in content, f"{name} is not text"
        assert b"Generated by Cython" not in content[:200], name
    sources = {
        path.relative_to(built.sources).as_posix()
        for top in ("csrc", "pyx", "python", "bench")
        for path in (built.sources / top).rglob("*.*")
    }
    wanted = {
        name for name in sources if Path(name).suffix in {".c", ".h", ".def", ".pyx", ".pxd", ".py", ".pyi", ".typed"}
    }
    assert not wanted - set(members)
    assert {"pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE"} <= set(members)


def test_wheel_holds_the_package_only(built):
    with zipfile.ZipFile(built.wheel) as wheel:
        names = [name for name in wheel.namelist() if not name.endswith("/")]
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    package = [name for name in names if ".dist-info/" not in name]
    assert all(name.startswith("simdloss/") for name in package)
    assert {Path(name).suffix for name in package} <= {".py", ".pyi", ".so", ".typed"}
    assert "simdloss/py.typed" in package
    assert "simdloss/bench/__main__.py" in package
    needs = Parser().parsestr(metadata).get_all("Requires-Dist")
    assert [need for need in needs if "extra ==" not in need] == ["numpy>=2"]


EXAMPLE = """
import numpy as np, simdloss
for isa in simdloss.isas():
    simdloss.use_isa(isa)
    logits = np.array([[20, 0], [-1, 1]], np.float32)
    loss, grad = simdloss.cross_entropy_and_grad(logits, [0, 1], reduction="none")
    assert abs(loss[0] - 2.0611536e-9) < 1e-15 and abs(grad[0, 0] + loss[0]) < 1e-15, isa
    assert simdloss.softmax(logits).dtype == np.float32
print(simdloss.__file__)
"""


def test_wheel_runs_without_a_compiler(installed, tmp_path):
    where = run(installed, "-c", EXAMPLE, env=without_compiler(), cwd=tmp_path)
    assert where.startswith(str(installed.parents[1]))


def test_nothing_but_numpy_is_needed(installed, tmp_path):
    """Public names import without any of the extras, and bring no more modules of third parties than numpy."""
    listed = run(installed, "-m", "pip", "list", "--format=freeze", env=without_compiler(), cwd=tmp_path)
    assert {line.split("==")[0] for line in listed.split()} <= {"numpy", "simdloss", "pip", "setuptools"}
