"""Prints the errors that the accuracy contract bounds: `python tests/measure.py [part of a routine's name]`."""

import sys

import numpy as np
from routines import ROUTINES

import simdloss

for routine in ROUTINES:
    if len(sys.argv) < 2 or sys.argv[1] in routine.name:
        for dtype in (np.float32, np.float64):
            for isa in simdloss.isas():
                simdloss.use_isa(isa)
                error, where = routine.worst(dtype)
                over = " OVER" if error > routine.bound(dtype, isa) else ""
                print(
                    f"{routine.name:38} {dtype.__name__:8} {isa:9} {error:12.4f} {routine.bound(dtype, isa):6.2f}{over}"
                )
                if over:
                    print(f"    {where}")
