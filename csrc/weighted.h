/* The weighted sum of exponentials of a row that SciPy's b asks for: log |sum_j b_j e^x_j| and its sign.

   b_j = m_j 2^k_j, |m_j| in [1, 2): with S the largest x and K such that the largest term is about 1, the sum is
   e^S 2^K times that of m_j e^(x_j - S) 2^(k_j - K), of which none overflows and what underflows is nothing beside the
   largest, whatever b holds. In float64 for both dtypes, lane by lane, with what the additions lose. */
#ifndef SL_WEIGHTED_H
#define SL_WEIGHTED_H

#include "rowvec.h"
#include "tile_copy.h"

/* Terms smaller than the largest by such a power of two are 0: beyond it they would not be normal numbers. */
#define LEAST_TERM (-1000.0)

/* b = significand times 2^exponent; the significand of a subnormal number is small, of 0 it is 0, of infinity and NaN
   itself. */
typedef struct {
    vd significand, exponent;
} binary;

ALWAYS_INLINE binary binary_of(vd b)
{
    const vd_bits one = (vd_bits)vd_set(1), two52 = (vd_bits)vd_set(0x1p52), exponents = (vd_bits)vd_set(INFINITY);
    vd_bits exponent = (vd_bits)b & exponents;
    vd significand = vd_choose((vd_bits)(exponent == exponents), b, (vd)(((vd_bits)b & ~exponents) | one));
    significand = vd_choose((vd_bits)(exponent == 0), b * 0x1p1023, significand);
    return (binary){significand, (vd)(exponent >> 52 | two52) - (0x1p52 + 1023)};
}

/* The largest of n values of x, or of logarithms to base 2 of terms less that of e^S, that are finite, and
   `greatest`. */
static double find_greatest(const T *x, const T *b, size_t n, double largest_x, int of_terms, double greatest)
{
    vd most = vd_set(greatest);
    for (size_t i = 0; i < n; i += VD) {
        vd value = vd_read(x + i), factor = vd_read(b + i);
        const vd_bits finite = vd_finite(value) & vd_finite(factor);
        if (of_terms)
            value = (value - largest_x) * ROW_LOG2E + binary_of(factor).exponent;
        most = vd_choose((vd_bits)(value > most) & finite, value, most);
    }
    for (size_t l = 0; l < VD; l++)
        greatest = most[l] > greatest ? most[l] : greatest;
    return greatest;
}

/* m e^(x - S) 2^(k - K). What is infinite makes an infinite sum, or NaN beside the opposite, but 0 is absent. */
ALWAYS_INLINE vd weighted_term(vd x, vd b, double largest_x, double exponent)
{
    const binary factor = binary_of(b);
    vd lost, z = vd_two_sum(x, vd_set(-largest_x), &lost), k = factor.exponent - exponent;
    const vd_bits number = vd_finite(x), small = (vd_bits)(z * ROW_LOG2E + k < LEAST_TERM);
    const vd_bits plain = number & vd_finite(b) & ~small;
    vd exponential = vd_exp(vd_where(plain, z), vd_where(plain, k));
    exponential = vd_fma(exponential, vd_where(plain, lost), exponential);
    exponential = vd_where(~(small & vd_finite(b)), exponential);
    return factor.significand * vd_choose(number, exponential, vd_where(~(vd_bits)(x < 0), x));
}

/* Two-part sums of terms, a lane each. */
enum { WEIGHTED_LANES = 16 };
typedef struct {
    double sum[WEIGHTED_LANES], lost[WEIGHTED_LANES];
} weighted_lanes;

static void add_weighted(weighted_lanes *t, const T *x, const T *b, size_t n, double largest_x, double exponent)
{
    enum { VECTORS = WEIGHTED_LANES / VD };
    vd sum[VECTORS], all_lost[VECTORS], lost;
    UNROLL for (int v = 0; v < VECTORS; v++) {
        sum[v] = vd_get(t->sum + v * VD);
        all_lost[v] = vd_get(t->lost + v * VD);
    }
    for (size_t i = 0; i < n; i += WEIGHTED_LANES, x += WEIGHTED_LANES, b += WEIGHTED_LANES)
        UNROLL for (int v = 0; v < VECTORS; v++) {
            vd term = weighted_term(vd_read(x + v * VD), vd_read(b + v * VD), largest_x, exponent);
            sum[v] = vd_two_sum(sum[v], term, &lost);
            all_lost[v] += lost;
        }
    UNROLL for (int v = 0; v < VECTORS; v++) {
        vd_put(t->sum + v * VD, sum[v]);
        vd_put(t->lost + v * VD, all_lost[v]);
    }
}

/* S + K ln 2 + log |sum|: the power of two next to the sum joins K, and is 0 where the result may be small. */
static double weighted_log(double sum, double rest, double largest_x, double exponent)
{
    if (sum == 0 || !isfinite(sum))
        return sum == 0 ? -INFINITY : fabs(sum);
    const int power = (int)(double_to_bits(fabs(sum) * (4.0 / 3)) >> 52) - 1023;
    double high, low, lost, lost_too, scale = bits_to_double((uint64_t)(1023 - power) << 52); /* 2^-power */
    log1p_parts(fabs(sum) * scale - 1, (sum < 0 ? -rest : rest) * scale, &high, &low);
    exponent += power;
    two_sum(largest_x, exponent * ROW_LN2_HI, &largest_x, &lost);
    two_sum(largest_x, high, &high, &lost_too);
    return high + (lost + lost_too + low + exponent * ROW_LN2_LO);
}

/* Columns of a row to a buffer of whole lanes; those whose factor is 0 and those beyond the last are absent. */
static size_t read_weighted(const plan *p, const rows_of *x, const rows_of *b, size_t row, size_t chunk, T *x_buffer,
                            T *b_buffer)
{
    const size_t n = columns_of(p, chunk), lanes = (n + WEIGHTED_LANES - 1) / WEIGHTED_LANES * WEIGHTED_LANES;
    each_run(p, x, row, chunk * p->chunk, n, x_buffer, 1, 0);
    each_run(p, b, row, chunk * p->chunk, n, b_buffer, 1, 0);
    for (size_t i = n; i < lanes; i++)
        b_buffer[i] = 0;
    for (size_t i = 0; i < lanes; i++)
        x_buffer[i] = b_buffer[i] != 0 ? x_buffer[i] : -(T)INFINITY;
    return lanes;
}

static void weighted_row(const plan *p, const rows_of *x, const rows_of *b, size_t row, double *lse, double *sign)
{
    T x_buffer[TILE], b_buffer[TILE];
    weighted_lanes lanes = {{0}, {0}};
    double largest_x = -INFINITY, exponent = -INFINITY, sum = 0, rest = 0;
    size_t n = 0;
    enum { LARGEST_X, LARGEST_TERM, SUM };
    for (int walk = LARGEST_X; walk <= SUM; walk++) {
        for (size_t chunk = 0; chunk < p->chunks; chunk++) {
            if (walk == LARGEST_X || p->chunks > 1)
                n = read_weighted(p, x, b, row, chunk, x_buffer, b_buffer);
            if (walk == LARGEST_X)
                largest_x = find_greatest(x_buffer, b_buffer, n, 0, 0, largest_x);
            else if (walk == LARGEST_TERM)
                exponent = find_greatest(x_buffer, b_buffer, n, largest_x, 1, exponent);
            else
                add_weighted(&lanes, x_buffer, b_buffer, n, largest_x, exponent);
        }
        if (largest_x == -INFINITY) /* nothing is finite: any will do */
            largest_x = 0;
        if (walk == LARGEST_TERM)
            exponent = exponent == -INFINITY ? 0 : (exponent + 0x1.8p52) - 0x1.8p52;
    }
    for (int l = 0; l < WEIGHTED_LANES; l++) {
        double lost;
        two_sum(sum, lanes.sum[l], &sum, &lost);
        rest += lost + lanes.lost[l];
    }
    *lse = weighted_log(sum, rest, largest_x, exponent);
    *sign = isnan(sum) ? sum : (sum > 0) - (sum < 0);
}

#endif
