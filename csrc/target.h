/* Class indices of any storage as int64. */
#ifndef SL_TARGET_H
#define SL_TARGET_H

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

#endif
