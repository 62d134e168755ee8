"""The benchmark of simdloss against the NumPy a careful user would write.

``python -m simdloss.bench`` runs it; ``pytest bench/ --benchmark-only`` runs the same cases through pytest-benchmark.

========================  =============================================================================
``cases.py``              the table of routines and sizes: the place to add a routine
``baseline.py``           the NumPy that each routine is compared with
``reference.py``          each routine in a wider type, the truth that results are checked against
``sizes.py``              sizes fitted to the caches, and shapes of those sizes
``data.py``               inputs and outputs
``work.py``               a case made ready to be checked and timed
``ulp.py``                how far a result is from the truth
``measure.py``            checks a case, then times all its contenders in turn
``machine.py``            the CPU, its caches and the versions in use
``report.py``             the tables and the JSON file
========================  =============================================================================
"""
