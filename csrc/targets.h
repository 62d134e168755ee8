/* What targets.c offers besides sl_scan_targets of ops.h. */
#ifndef SL_TARGETS_H
#define SL_TARGETS_H

#include <stddef.h>

/* The sum of n contiguous class weights, for sl_cross_entropy.weight_sum. */
double sl_sum_weights(const void *weight, int weight_is_double, size_t n);

#endif
