/* IEEE binary16 to and from float, rounding to nearest being set (fp_enter). Every case is computed and one selected,
   so that a compiler can turn a loop over these into vector code; neither depends on FTZ or DAZ, since no intermediate
   is a subnormal float. */
#ifndef SL_HALF_H
#define SL_HALF_H

#include <stdint.h>
#include <string.h>

static inline float sl_bits_to_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t sl_float_to_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float sl_half_to_float(uint16_t half)
{
    const uint32_t rebias = (127u - 15u) << 23;
    const uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    const uint32_t exponent = magnitude & 0x0f800000u;
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;

    const uint32_t normal = magnitude + rebias;
    const uint32_t special = normal + rebias; /* the exponent of inf and NaN becomes 255 */
    /* A subnormal is its mantissa in units of 2^-24: put it under an implicit one of 2^-14, then take that away. */
    const float one = sl_bits_to_float(rebias + (1u << 23));
    const uint32_t subnormal = sl_float_to_bits(sl_bits_to_float(normal + (1u << 23)) - one);

    const uint32_t finite = exponent == 0 ? subnormal : normal;
    return sl_bits_to_float((exponent == 0x0f800000u ? special : finite) | sign);
}

/* Rounds to nearest, ties to even; every NaN becomes one and the same. */
static inline uint16_t sl_float_to_half(float x)
{
    const uint32_t bits = sl_float_to_bits(x);
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 16) & 0x8000u;

    const uint32_t odd = (magnitude >> 13) & 1;
    const uint32_t normal = (magnitude - ((127u - 15u) << 23) + 0xfffu + odd) >> 13; /* may carry up to infinity */
    /* Adding 1/2 leaves the last place at 2^-24, so that the addition itself does the rounding. */
    const float half = 0.5f;
    const uint32_t subnormal = sl_float_to_bits(sl_bits_to_float(magnitude) + half) - sl_float_to_bits(half);

    const uint32_t finite = magnitude < (113u << 23) ? subnormal : normal;
    const uint32_t number = (magnitude >= (143u << 23) ? 0x7c00u : finite) | sign;
    return (uint16_t)(magnitude > 0x7f800000u ? 0x7e00u : number);
}

#endif
