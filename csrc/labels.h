/* Sums over the labels q of a row, in lanes: of q (highest - x), and of q, W, which multiplies the whole gradient.
   float32 rows in float64; of float64 what additions lose is kept. */
#ifndef SL_LABELS_H
#define SL_LABELS_H

#include "kernel.h"

#if DTYPE == 32
typedef struct {
    vd gap[2], mass[2];
} label_sums;

ALWAYS_INLINE void label_step(label_sums *a, vf q, vf x, vf highest)
{
    a->gap[0] = vd_fma(vd_low(q), vd_sub(vd_low(highest), vd_low(x)), a->gap[0]);
    a->gap[1] = vd_fma(vd_high(q), vd_sub(vd_high(highest), vd_high(x)), a->gap[1]);
    a->mass[0] = vd_add(a->mass[0], vd_low(q));
    a->mass[1] = vd_add(a->mass[1], vd_high(q));
}

ALWAYS_INLINE void label_end(const label_sums *a, double *gap, double *mass, double *mass_l)
{
    for (size_t h = 0; h < 2; h++) {
        vd_store(gap + h * VD, a->gap[h]);
        vd_store(mass + h * VD, a->mass[h]);
        vd_store(mass_l + h * VD, vd_set(0));
    }
}
#else
ALWAYS_INLINE vf v_two_sum(vf a, vf b, vf *lost)
{
    vf sum = vf_add(a, b), b_in_sum = vf_sub(sum, a);
    *lost = vf_add(*lost, vf_add(vf_sub(a, vf_sub(sum, b_in_sum)), vf_sub(b, b_in_sum)));
    return sum;
}

typedef struct {
    vf gap, gap_l, mass, mass_l;
} label_sums;

ALWAYS_INLINE void label_step(label_sums *a, vf q, vf x, vf highest)
{
    a->gap = v_two_sum(a->gap, vf_mul(q, vf_sub(highest, x)), &a->gap_l);
    a->mass = v_two_sum(a->mass, q, &a->mass_l);
}

ALWAYS_INLINE void label_end(const label_sums *a, double *gap, double *mass, double *mass_l)
{
    vf lost = vf_keep(vf_eq(a->gap_l, a->gap_l), a->gap_l); /* of an infinite sum it is no number */
    vf_store(gap, vf_add(a->gap, lost));
    vf_store(mass, a->mass);
    vf_store(mass_l, a->mass_l);
}
#endif

#endif
