"""Checks a case and times it: NumPy, every instruction set and every peer in turn, again and again.

Taking turns lets a change of the machine's speed hit all contenders alike; the ratio of each round is of calls made
within moments of each other, and the median of the ratios is reported.
"""

from dataclasses import dataclass
from statistics import median

from .work import NUMPY, Work

# A sample repeats short calls until it is far longer than the clock's step and a switch of frequency is noise.
_SAMPLE_SECONDS = 200e-6
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 51
# To tell which of a peer's forms is the fastest.
_TRIALS = 3


@dataclass(frozen=True)
class Entry:
    """What was found about one contender: its fastest form, the largest errors of its results, seconds by round.

    `right` is, for simdloss, within the limits of the routine; for others, that they compute the same at all. A wrong
    result has no seconds.
    """

    form: str
    ulps: tuple[float, ...]
    right: bool
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """What was found about one case, by the name of the contender."""

    case: object
    nbytes: int
    written: int
    elements: int
    isas: tuple[str, ...]
    entries: dict[str, Entry]

    def seconds(self, name):
        """Return the median time of a call."""
        return median(self.entries[name].seconds)

    def ns_per_element(self, name):
        """Return that time by element of the logits."""
        return self.seconds(name) / self.elements * 1e9

    def gb_per_s(self, name):
        """Return how fast the arrays were gone through."""
        return self.nbytes / self.seconds(name) / 1e9

    def ratio(self, name, to=NUMPY):
        """Return how many times faster `name` is than `to`: the median over the rounds."""
        return ratio(self.entries[name].seconds, self.entries[to].seconds)

    def timed(self, name):
        """Tell whether that contender is here with a right result."""
        return name in self.entries and self.entries[name].right

    @property
    def peers(self):
        """Return the names of the peers that were timed."""
        return [name for name in self.entries if name != NUMPY and name not in self.isas and self.timed(name)]

    @property
    def right(self):
        """Tell whether simdloss is right on every instruction set."""
        return all(self.entries[isa].right for isa in self.isas)


def ratio(seconds, others):
    """Return the median over the rounds of how many times longer the others took."""
    return median(other / own for own, other in zip(seconds, others, strict=True))


def measure(case, isas, seconds, peers=(), *, numpy=True):
    """Return the `Result` of `case` for NumPy, each of `isas` and those of `peers` that have the routine."""
    work = Work(case)
    contenders = {NUMPY: NUMPY} if numpy else {}
    contenders |= {isa: isa for isa in isas} | {peer.name: peer for peer in peers}
    entries, right = {}, {}
    for name, contender in contenders.items():
        for form in work.forms(contender):
            ulps, same = work.max_ulps(form)
            if name == NUMPY and not same:
                raise AssertionError(f"the baseline of {case.name} is wrong: errors of {ulps} ULP")
            entries[name] = Entry(form.label or form.text, ulps, False, ())
            if work.is_right(ulps) if name in isas else same:
                right.setdefault(name, []).append((form, ulps))
    samples = alternate({name: [form for form, _ in tried] for name, tried in right.items()}, seconds)
    for name, (fastest, times) in samples.items():
        ulps = next(ulps for form, ulps in right[name] if form is fastest)
        entries[name] = Entry(fastest.label or fastest.text, ulps, True, times)
    return Result(case, work.nbytes, work.written, work.elements, tuple(isas), entries)


def alternate(forms, seconds):
    """Time the fastest form of each contender, in turn, as often as fits `seconds`.

    Returns the form and the seconds of one call in each round, by contender.
    """
    chosen, loops, round_seconds = {}, {}, 0.0
    for name, tried in forms.items():
        calls, form, sample_seconds = _fastest(tried)
        chosen[name], loops[name] = form, calls
        round_seconds += sample_seconds
    timers = {name: form.timer() for name, form in chosen.items()}
    rounds = min(max(int(seconds / round_seconds), _FEWEST_ROUNDS), _MOST_ROUNDS)
    samples = {name: [] for name in chosen}
    for _ in range(rounds):
        for name, form in chosen.items():
            with form.within():
                samples[name].append(timers[name].timeit(loops[name]) / loops[name])
    return {name: (form, tuple(samples[name])) for name, form in chosen.items()}


def _fastest(forms):
    """Return how many calls of the fastest form make a sample, that form, and the seconds of the sample."""
    tried = []
    for form in forms:
        timer = form.timer()
        with form.within():
            calls, sample_seconds = _loops(timer)
            if len(forms) > 1:
                sample_seconds = min(timer.timeit(calls) for _ in range(_TRIALS))
        tried.append((sample_seconds / calls, calls, form, sample_seconds))
    _, *best = min(tried, key=lambda entry: entry[0])
    return best


def _loops(timer):
    """Return how many calls make a sample, and its seconds; the calls it takes to find out are the warm-up."""
    loops = 1
    while (seconds := timer.timeit(loops)) < _SAMPLE_SECONDS / 2:
        loops *= 2
    factor = max(1.0, _SAMPLE_SECONDS / seconds)
    return round(loops * factor), seconds * factor
