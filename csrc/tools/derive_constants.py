"""Derive every polynomial and split constant of csrc/constants.h from its definition.

    python csrc/tools/derive_constants.py            print the header
    python csrc/tools/derive_constants.py --check    compare it with the one in the tree (exit status 1 if it differs)

Needs mpmath and numpy. A polynomial is fitted at Chebyshev nodes in 60 digits (within a small factor of minimax) and
rounded coefficient by coefficient, lowest first: the later ones are refitted to what the rounding of the earlier left.
The error printed beside each is measured after rounding, in exact arithmetic.
"""

import argparse
import pathlib
import struct
import sys

import numpy as np
from mpmath import mp, mpf

mp.dps = 60
HEADER = pathlib.Path(__file__).parent.parent / "constants.h"
PRECISION = {32: 24, 64: 53}
LOG_SCALE, LOG_FIRST, LOG_LAST = mpf(6.5625), 7, 13
LOG_TRIES, LOG_WINDOW = 2048, mpf(2) ** -10


def rounded(x, bits):
    """x to the nearest number of `bits` significant bits."""
    if x == 0:
        return mpf(0)
    exponent = mp.floor(mp.log(abs(x), 2)) + 1 - bits
    return mp.nint(mp.ldexp(x, -int(exponent))) * mp.mpf(2) ** int(exponent)


def chebyshev_nodes(low, high, n):
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle + half * mp.cos(mp.pi * (2 * k + 1) / (2 * n)) for k in range(n)]


def least_squares(f, low, high, powers, weight):
    """Coefficients of the given powers of x that fit f best at Chebyshev nodes (QR in 60 digits)."""
    nodes = chebyshev_nodes(low, high, 4 * len(powers) + 16)
    system = mp.matrix([[weight(x) * x**k for k in powers] for x in nodes])
    return list(mp.qr_solve(system, mp.matrix([weight(x) * f(x) for x in nodes]))[0])


def fit(f, low, high, degree, bits, weight):
    """The polynomial with coefficients of `bits` bits, and the largest error, times weight(x), on [low, high]."""
    coefficients = []
    for k in range(degree + 1):
        known = coefficients[::-1] or [mpf(0)]
        rest = least_squares(
            lambda x, known=known: f(x) - mp.polyval(known, x), low, high, range(k, degree + 1), weight
        )
        coefficients.append(rounded(rest[0], bits))
    grid = [low + (high - low) * (mpf(k) + 0.5) / 1000 for k in range(1000)]
    error = max(abs(f(x) - mp.polyval(coefficients[::-1], x)) * weight(x) for x in grid)
    return coefficients, error


def exp_rest(r):
    """(exp(r) - 1 - r) / r^2"""
    return (mp.expm1(r) - r) / r**2


NEAREST_POWER = mpf("0.2005") ** 2  # s^2 of vd_log_of_sum in rowvec.h


def atanh_rest(w):
    """2 (atanh(s) - s) / s^3 at w = s^2"""
    s = mp.sqrt(w)
    return 2 * (mp.atanh(s) - s) / s**3


def log1p_rest(f):
    """(log1p(f) - f) / f^2"""
    return (mp.log1p(f) - f) / f**2


def log_table(bits):
    """Where log1p and 1/(1 + e) begin: entry i mod 8 is for those d = 1 + e with rint(LOG_SCALE d) = i.

    The first is 1, so that nothing is lost where e is small. The others are close to the reciprocal of the middle of
    their d, of so few bits that products of them are exact, and chosen among thousands for a logarithm that is almost
    a number of fewer bits, too: its low part, which would be one more table, is nothing.
    """
    reciprocals, logs = [mpf(1)] * 8, [mpf(0)] * 8
    lost, low, high = mpf(0), mpf(0), (LOG_FIRST + mpf(0.5)) / LOG_SCALE - 1
    unit, short = mpf(2) ** (4 - bits), mpf(2) ** (3 - bits)
    for i in range(LOG_FIRST + 1, LOG_LAST + 1):
        ends = (i - mpf(0.5)) / LOG_SCALE, min((i + mpf(0.5)) / LOG_SCALE, mpf(2))
        middle = mp.sqrt(ends[0] * ends[1]) / 2 + ends[0] * ends[1] / sum(ends)
        middle = mp.nint(1 / middle / unit) * unit
        found = {}
        for k in range(-LOG_TRIES, LOG_TRIES + 1):
            candidate = middle + mp.nint(k * (LOG_WINDOW / LOG_TRIES / unit)) * unit
            exact = -mp.log(candidate)
            near = mp.nint(exact / short) * short
            found.setdefault(abs(exact - near), (candidate, near))
        lost = max(lost, min(found))
        reciprocals[i % 8], logs[i % 8] = found[min(found)]
        low, high = min(low, ends[0] * reciprocals[i % 8] - 1), max(high, ends[1] * reciprocals[i % 8] - 1)
    return reciprocals, logs, lost, low, high


def c_number(x, bits):
    text = float(x).hex()
    return text + "f" if bits == 24 else text


def define(name, x, bits):
    return f"#define {name} {c_number(x, bits)} /* {mp.nstr(x, 8)} */"


def polynomial(name, meaning, f, low, high, degree, bits, weight):
    """One #define of a coefficient list, highest first.

    The error beside it is that of the polynomial times weight(x): absolute in exp, relative (to s) in atanh.
    """
    coefficients, error = fit(f, low, high, degree, bits, weight)
    bound = mp.nstr(mp.log(error, 2), 4)
    body = ", ".join(c_number(c, bits) for c in coefficients[::-1])
    return f"/* {meaning}: error 2^{bound} */\n#define {name} {body}"


def table(name, meaning, numbers, bits):
    return f"/* {meaning} */\n#define {name} {', '.join(c_number(x, bits) for x in numbers)}"


def log_constants(bits, degree):
    reciprocals, logs, lost, low, high = log_table(bits)
    low, high = low - mpf(2) ** -12, high + mpf(2) ** -12
    where = f"{mp.nstr(low, 3)} <= f <= {mp.nstr(high, 3)}"
    return "\n".join(
        [
            table("LOG_RECIPROCALS", "r, close to 1/(1 + e)", reciprocals, bits),
            table("LOG_LOGS", f"-log(r): error 2^{mp.nstr(mp.log(lost, 2), 4)}", logs, bits),
            polynomial(
                "LOG1P_REST", f"(log1p(f) - f)/f^2, {where}", log1p_rest, low, high, degree, bits, lambda f: abs(f)
            ),
        ]
    )


def dtype_constants(dtype):
    bits = PRECISION[dtype]
    ln2 = mp.ln(2)
    half = ln2 / 2 * (1 + mpf(2) ** -20)
    high = rounded(ln2, bits)
    # without fma: n * SPLIT_1 and n * SPLIT_2 are exact for |n| < 2^14 (float32) and 2^15 (float64)
    short = bits - (14 if dtype == 32 else 15)
    first = rounded(ln2, short)
    second = rounded(ln2 - first, short)
    # the last x whose e^-x is not below the least normal number
    least = ln2 * {32: 126, 64: 1022}[dtype]
    subnormal = rounded(least, bits)
    if subnormal > least:
        subnormal -= mp.mpf(2) ** (mp.floor(mp.log(least, 2)) + 1 - bits)
    exp_degree, log_degree = {32: (4, 4), 64: (9, 11)}[dtype]
    return "\n".join(
        [
            define("LOG2E", rounded(1 / ln2, bits), bits),
            define("LN2_HI", high, bits),
            define("LN2_LO", rounded(ln2 - high, bits), bits),
            define("LN2_SPLIT_1", first, bits),
            define("LN2_SPLIT_2", second, bits),
            define("LN2_SPLIT_3", rounded(ln2 - first - second, bits), bits),
            polynomial(
                "EXP_REST",
                "(exp(r) - 1 - r)/r^2, |r| <= ln(2)/2",
                exp_rest,
                -half,
                half,
                exp_degree,
                bits,
                lambda r: r**2,
            ),
            define("SUBNORMAL", subnormal, bits),
            define("LOG_SCALE", LOG_SCALE, bits),
            log_constants(bits, log_degree),
        ]
    )


def less_bits(x, shift, formats):
    """The float whose bits are those of x less `shift`."""
    real, integer = formats
    (bits,) = struct.unpack(integer, struct.pack(real, float(x)))
    return mpf(struct.unpack(real, struct.pack(integer, bits - shift))[0])


def common_factor(powers, bits, tolerance):
    """The least number of `bits` bits from 1 up, times which all powers in [1, 2) are within `tolerance` ULP of one."""
    unit, one = 2**64, mpf(2) ** (bits - 1)
    steps = [int(mp.floor(mp.frac(p) * unit)) for p in powers]
    starts = [int(mp.floor(mp.frac(p * one) * unit)) for p in powers]
    near = np.uint64(int(tolerance * unit))
    with np.errstate(over="ignore"):
        for first in range(0, 2**40, 2**22):
            i = np.arange(first, first + 2**22, dtype=np.uint64)
            good = np.ones(len(i), bool)
            for step, start in zip(steps, starts, strict=True):
                good &= np.uint64(start) + i * np.uint64(step) + near <= np.uint64(2) * near
            if good.any():
                return 1 + int(i[np.argmax(good)]) / one


def part_constants(dtype):
    """Powers of 2 between whole ones, for rows (lanes.h)."""
    bits = PRECISION[dtype]
    shift, formats = {32: (20, ("<f", "<I")), 64: (49, ("<d", "<Q"))}[dtype]
    parts = 8
    powers = [mpf(2) ** (mpf(j) / parts) for j in range(parts)]

    def scales(name, factor):
        times = f" times {c_number(factor, bits)}" if factor != 1 else ""
        lacking = [mp.log(p * factor / rounded(p * factor, bits)) for p in powers]
        worst = mp.nstr(mp.log(max(map(abs, lacking)), 2), 4)
        numbers = [less_bits(rounded(p * factor, bits), j << shift, formats) for j, p in enumerate(powers)]
        meaning = f"2^(j/{parts}){times} to 2^{worst}, as the number whose bits have j << {shift} taken away"
        return table(name, meaning, numbers, bits), lacking

    near, _ = scales({32: "ROUGH_PART_SCALES", 64: "PART_SCALES"}[dtype], common_factor(powers, bits, mpf(2) ** -4))
    lines = [near]
    if dtype == 32:
        pure, lacking = scales("PART_SCALES", mpf(1))
        lacking = [rounded(x, bits) for x in lacking]
        lines = [pure, table("PART_LACKING", "the logarithm of what each lacks", lacking, bits), near]
    half = mp.ln(2) / (2 * parts) * (1 + mpf(2) ** -6)
    meaning, degree = f"(exp(r) - 1 - r)/r^2, |r| <= ln(2)/{2 * parts}", {32: 2, 64: 5}[dtype]
    lines.append(polynomial("PART_EXP_REST", meaning, exp_rest, -half, half, degree, bits, lambda r: r**2))
    return "\n".join(lines)


def row_constants():
    ln2 = mp.ln(2)
    half = ln2 / 2 * (1 + mpf(2) ** -20)
    high = rounded(ln2, 40)
    return "\n".join(
        [
            define("ROW_LOG2E", rounded(1 / ln2, 53), 53),
            define("ROW_LN2", rounded(ln2, 53), 53),
            polynomial("ROW_EXP", "exp(r), |r| <= ln(2)/2", mp.exp, -half, half, 11, 53, lambda r: mpf(1)),
            polynomial("WIDE_EXP", "the same, shorter", mp.exp, -half, half, 8, 53, lambda r: mpf(1)),
            define("ROW_LN2_HI", high, 53),
            define("ROW_LN2_LO", rounded(ln2 - high, 53), 53),
            polynomial(
                "ROW_ATANH_REST",
                "2(atanh(s) - s)/s^3 in s^2, 0 <= |s| <= 0.2005",
                atanh_rest,
                mpf(0),
                NEAREST_POWER,
                8,
                53,
                lambda w: w,
            ),
            polynomial("WIDE_ATANH_REST", "the same, shorter", atanh_rest, mpf(0), NEAREST_POWER, 4, 53, lambda w: w),
        ]
    )


def header():
    return "\n".join(
        [
            "/* Written by csrc/tools/derive_constants.py; do not edit. Coefficients: highest power first. */",
            "#if DTYPE == 32",
            dtype_constants(32),
            part_constants(32),
            "#else",
            dtype_constants(64),
            part_constants(64),
            "#endif",
            "/* The last step of a row, in float64 for both dtypes (rowmath.h). */",
            row_constants(),
            "",
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with constants.h instead of printing")
    derived = header()
    if not parser.parse_args().check:
        print(derived, end="")
    elif derived != HEADER.read_text():
        sys.exit(f"{HEADER.name} is not what the derivation gives")


if __name__ == "__main__":
    main()
