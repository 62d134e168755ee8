"""The benchmark of simdloss against the NumPy a careful user would write, and against other libraries.

``python -m simdloss.bench`` runs it; ``pytest bench/ --benchmark-only`` runs the same cases through pytest-benchmark.

========================  =============================================================================
``cases.py``              the table of routines and sizes: the place to add a routine
``baseline.py``           the NumPy that each routine is compared with
``reference.py``          each routine in a wider type, the truth that results are checked against
``form.py``               one way to compute a routine: what is timed, and what is not timed with it
``peers/``                the other libraries, one module each: ``--peers``
``sizes.py``              sizes fitted to the caches, and shapes of those sizes
``data.py``               inputs and outputs
``work.py``               a case made ready: every contender's forms, and how right their results are
``ulp.py``                how far a result is from the truth
``measure.py``            checks a case, then times all its contenders in turn
``machine.py``            the CPU, its caches and the versions in use
``limits.py``             what the machine can do at best: bandwidths, exponentials, rooflines
``goals.py``              the speeds that simdloss aims at
``reach.py``              measures which of them it reaches: ``--peers --goals``
``report.py``             the tables and the JSON file
``plot.py``               the charts: ``--plot FILE``
``progress.py``           how far a run is
``accuracy.py``           the errors of all libraries on the same inputs: ``python -m simdloss.bench.accuracy``
========================  =============================================================================
"""
