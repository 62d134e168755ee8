"""Derive every polynomial and split constant of csrc/constants.h from its definition.

    python csrc/tools/derive_constants.py            print the header
    python csrc/tools/derive_constants.py --check    compare it with the one in the tree (exit status 1 if it differs)

Needs mpmath only. A polynomial is fitted at Chebyshev nodes in 60 digits (within a small factor of minimax) and rounded
coefficient by coefficient, lowest first: the later ones are refitted to what the rounding of the earlier left.
The error printed beside each is measured after rounding, in exact arithmetic.
"""

import argparse
import pathlib
import struct
import sys

from mpmath import mp, mpf

mp.dps = 60
HEADER = pathlib.Path(__file__).parent.parent / "constants.h"
PRECISION = {32: 24, 64: 53}


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


def c_number(x, bits):
    text = float(x).hex()
    return text + "f" if bits == 24 else text


def define(name, x, bits):
    return f"#define {name} {c_number(x, bits)} /* {mp.nstr(x, 8)} */"


def numbers(values):
    return ", ".join(c_number(x, 24) for x in values)


def polynomial(name, meaning, f, low, high, degree, bits, weight):
    """One #define of a coefficient list, highest first.

    The error beside it is that of the polynomial times weight(x): absolute in exp, relative (to s) in atanh.
    """
    coefficients, error = fit(f, low, high, degree, bits, weight)
    bound = mp.nstr(mp.log(error, 2), 4)
    body = ", ".join(c_number(c, bits) for c in coefficients[::-1])
    return f"/* {meaning}: error 2^{bound} */\n#define {name} {body}"


def dtype_constants(dtype):
    bits = PRECISION[dtype]
    ln2 = mp.ln(2)
    half = ln2 / 2 * (1 + mpf(2) ** -20)
    high = rounded(ln2, bits)
    # without fma: n * SPLIT_1 and n * SPLIT_2 are exact for |n| < 2^14 (float32) and 2^15 (float64)
    short = bits - (14 if dtype == 32 else 15)
    first = rounded(ln2, short)
    second = rounded(ln2 - first, short)
    degree = {32: (4, 4), 64: (9, 9)}[dtype]
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
                degree[0],
                bits,
                lambda r: r**2,
            ),
            polynomial(
                "ATANH_REST",
                "2(atanh(s) - s)/s^3 in s^2, 0 <= s <= 1/3",
                atanh_rest,
                mpf(0),
                mpf(1) / 9,
                degree[1],
                bits,
                lambda w: w,
            ),
        ]
    )


def part_constants():
    """Powers of 2 between whole ones, for float32 rows (lanes_f32.h)."""
    bits, parts, shift = 24, 16, 19
    powers = [mpf(2) ** (mpf(j) / parts) for j in range(parts)]
    scales = [struct.unpack("<I", struct.pack("<f", float(p)))[0] - (j << shift) for j, p in enumerate(powers)]
    lacking = [rounded(mp.log(p / rounded(p, bits)), bits) for p in powers]
    return "\n".join(
        [
            "/* 2^(j/16) as the float32 whose bits have j << 19 taken away; the logarithm of what each lacks */",
            f"#define PART_SCALES {numbers(mpf(struct.unpack('<f', struct.pack('<I', s))[0]) for s in scales)}",
            f"#define PART_LACKING {numbers(lacking)}",
        ]
    )


def row_constants():
    ln2 = mp.ln(2)
    half = ln2 / 2 * (1 + mpf(2) ** -20)
    high = rounded(ln2, 40)
    return "\n".join(
        [
            define("ROW_LOG2E", rounded(1 / ln2, 53), 53),
            define("ROW_LN2", rounded(ln2, 53), 53),
            polynomial("ROW_EXP", "exp(r), |r| <= ln(2)/2", mp.exp, -half, half, 11, 53, lambda r: mpf(1)),
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
            part_constants(),
            "#else",
            dtype_constants(64),
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
