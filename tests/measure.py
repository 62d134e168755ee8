"""Prints the errors that the accuracy contract bounds: `python tests/measure.py [--sweep] [part of a routine's name]`.

First by the inputs of tests/routines.py for every instruction set, then the best one's in the form of the lines in the
kernels' comments. With --sweep these lines also tell what the exhaustive tests meet, which takes some minutes.
"""

import argparse

import numpy as np
import stated
from routines import HAVE_FMA, ROUTINES

import simdloss


def by_table(chosen) -> dict:
    """{(isa, name, dtype): (error, place)} on the inputs of the table, which are printed on the way."""
    found = {}
    for routine in chosen:
        for dtype in (np.float32, np.float64):
            for isa in simdloss.isas():
                simdloss.use_isa(isa)
                error, place, detail = routine.worst(dtype)
                found[isa, routine.name, dtype] = error, place
                over = " OVER" if error > routine.bound(dtype, isa) else ""
                print(
                    f"{routine.name:38} {dtype.__name__:8} {isa:9} {error:12.4f} {routine.bound(dtype, isa):6.2f}{over}"
                )
                if over:
                    print(f"    {detail}")
    return found


def by_sweep() -> dict:
    """The same of the exhaustive tests."""
    from test_exhaustive import every_float32
    from test_exhaustive_float64 import many_float64
    from test_exhaustive_rows import many_rows

    found = {}
    for dtype, elementwise in {np.float32: every_float32, np.float64: many_float64}.items():
        for (isa, name), error in (elementwise() | many_rows(dtype)).items():
            found[isa, name, dtype] = error
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", action="store_true", help="run the exhaustive tests' inputs too")
    parser.add_argument("name", nargs="?", default="", help="part of the names of the routines to measure")
    chosen = parser.parse_args()
    routines = [routine for routine in ROUTINES if chosen.name in routine.name]
    found = [by_table(routines)]
    if chosen.sweep:
        found.append(by_sweep())
    best = next(isa for isa in simdloss.isas() if isa in HAVE_FMA)
    simdloss.use_isa(best)
    print(f"\nFor the comments in csrc/kernels, on {best}:")
    for routine in routines:
        worst = [
            max((errors[key] for errors in found if (key := (best, routine.name, dtype)) in errors), key=lambda w: w[0])
            for dtype in (np.float32, np.float64)
        ]
        print(stated.line(routine.name, (routine.f32, routine.f64), worst))


if __name__ == "__main__":
    main()
