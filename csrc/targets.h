/* Class indices of any storage, and what targets.c offers besides sl_scan_targets of ops.h. */
#ifndef SL_TARGETS_H
#define SL_TARGETS_H

#include <string.h>

#include "ops.h"

static inline int64_t sl_read_target(const char *p, int storage)
{
    const int is_swapped = storage & SL_SWAPPED, is_unsigned = storage & SL_UNSIGNED;
    if (storage & SL_INT64) {
        uint64_t bits;
        memcpy(&bits, p, sizeof bits);
        return (int64_t)(is_swapped ? __builtin_bswap64(bits) : bits);
    }
    if (storage & SL_INT32) {
        uint32_t bits;
        memcpy(&bits, p, sizeof bits);
        bits = is_swapped ? __builtin_bswap32(bits) : bits;
        return is_unsigned ? (int64_t)bits : (int32_t)bits;
    }
    if (storage & SL_INT16) {
        uint16_t bits;
        memcpy(&bits, p, sizeof bits);
        bits = is_swapped ? __builtin_bswap16(bits) : bits;
        return is_unsigned ? (int64_t)bits : (int16_t)bits;
    }
    return is_unsigned ? *(const unsigned char *)p : *(const signed char *)p;
}

/* The sum of n contiguous class weights, for sl_cross_entropy.weight_sum. */
double sl_sum_weights(const void *weight, int weight_is_double, size_t n);

#endif
