/* Class indices of any storage, and what targets.c offers besides sl_scan_targets of ops.h. */
#ifndef SL_TARGETS_H
#define SL_TARGETS_H

#include <string.h>

#include "ops.h"

static inline int64_t sl_read_target(const char *p, int storage)
{
    if (storage & SL_INT32) {
        uint32_t bits;
        memcpy(&bits, p, sizeof bits);
        return (int32_t)(storage & SL_SWAPPED ? __builtin_bswap32(bits) : bits);
    }
    uint64_t bits;
    memcpy(&bits, p, sizeof bits);
    return (int64_t)(storage & SL_SWAPPED ? __builtin_bswap64(bits) : bits);
}

/* The sum of n contiguous class weights, for sl_cross_entropy.weight_sum. */
double sl_sum_weights(const void *weight, int weight_is_double, size_t n);

#endif
