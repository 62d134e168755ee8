/* Written by csrc/tools/derive_constants.py; do not edit. Coefficients: highest power first. */
#if DTYPE == 32
#define LOG2E 0x1.7154760000000p+0f /* 1.442695 */
#define LN2_HI 0x1.62e4300000000p-1f /* 0.69314718 */
#define LN2_LO -0x1.05c6100000000p-29f /* -1.9046542e-9 */
#define LN2_SPLIT_1 0x1.6300000000000p-1f /* 0.69335938 */
#define LN2_SPLIT_2 -0x1.bd00000000000p-13f /* -0.00021219254 */
#define LN2_SPLIT_3 -0x1.05c6100000000p-29f /* -1.9046542e-9 */
/* (exp(r) - 1 - r)/r^2, |r| <= ln(2)/2: error 2^-28.17 */
#define EXP_REST 0x1.6d514a0000000p-10f, 0x1.123d020000000p-7f, 0x1.5554e40000000p-5f, 0x1.55548c0000000p-3f, 0x1.0000000000000p-1f
/* 2(atanh(s) - s)/s^3 in s^2, 0 <= s <= 1/3: error 2^-31.98 */
#define ATANH_REST 0x1.f067560000000p-3f, 0x1.b7344e0000000p-3f, 0x1.2504bc0000000p-2f, 0x1.9996da0000000p-2f, 0x1.5555580000000p-1f
/* 2^(j/16) as the float32 whose bits have j << 19 taken away; the logarithm of what each lacks */
#define PART_SCALES 0x1.0000000000000p+0f, 0x1.fb55860000000p-1f, 0x1.f72b840000000p-1f, 0x1.f387a60000000p-1f, 0x1.f06fe00000000p-1f, 0x1.edea640000000p-1f, 0x1.ebfdae0000000p-1f, 0x1.eab07e0000000p-1f, 0x1.ea09e60000000p-1f, 0x1.ea11480000000p-1f, 0x1.eace540000000p-1f, 0x1.ec49180000000p-1f, 0x1.ee89fa0000000p-1f, 0x1.f199be0000000p-1f, 0x1.f5818e0000000p-1f, 0x1.fa4afa0000000p-1f
#define PART_LACKING 0x0.0p+0f, 0x1.8d96d40000000p-25f, -0x1.9c0c220000000p-27f, 0x1.9649020000000p-25f, 0x1.1250020000000p-25f, 0x1.370be40000000p-25f, -0x1.0a35520000000p-25f, -0x1.00d8ac0000000p-27f, 0x1.26055c0000000p-26f, -0x1.05cb440000000p-25f, 0x1.67a1ca0000000p-28f, 0x1.a3b5e40000000p-28f, -0x1.f9c3060000000p-27f, -0x1.6961b40000000p-28f, -0x1.a5217c0000000p-28f, 0x1.61428e0000000p-28f
#else
#define LOG2E 0x1.71547652b82fep+0 /* 1.442695 */
#define LN2_HI 0x1.62e42fefa39efp-1 /* 0.69314718 */
#define LN2_LO 0x1.abc9e3b39803fp-56 /* 2.3190468e-17 */
#define LN2_SPLIT_1 0x1.62e42fefa0000p-1 /* 0.69314718 */
#define LN2_SPLIT_2 0x1.cf79abc9e0000p-40 /* 1.646595e-12 */
#define LN2_SPLIT_3 0x1.d9cc01f97b57ap-79 /* 3.0618407e-24 */
/* (exp(r) - 1 - r)/r^2, |r| <= ln(2)/2: error 2^-57.94 */
#define EXP_REST 0x1.af6e9ed5c05d5p-26, 0x1.28b0efae6fca8p-22, 0x1.71ddee618dfa9p-19, 0x1.a01995c128549p-16, 0x1.a01a01b44afdfp-13, 0x1.6c16c186053dfp-10, 0x1.111111110e9efp-7, 0x1.555555554fe0bp-5, 0x1.555555555555cp-3, 0x1.000000000000cp-1
/* 2(atanh(s) - s)/s^3 in s^2, 0 <= s <= 1/3: error 2^-58.34 */
#define ATANH_REST 0x1.5c793826fa058p-3, 0x1.55ad18c1716aap-4, 0x1.efda2e963675ep-4, 0x1.10679371b2df3p-3, 0x1.3b1de1054a633p-3, 0x1.745cb3a1d3d9bp-3, 0x1.c71c742024665p-3, 0x1.2492492081d79p-2, 0x1.99999999a0933p-2, 0x1.5555555555534p-1
#endif
/* The last step of a row, in float64 for both dtypes (rowmath.h). */
#define ROW_LOG2E 0x1.71547652b82fep+0 /* 1.442695 */
#define ROW_LN2 0x1.62e42fefa39efp-1 /* 0.69314718 */
/* exp(r), |r| <= ln(2)/2: error 2^-57.94 */
#define ROW_EXP 0x1.af6e9ed5c05d5p-26, 0x1.28b0efae6fca8p-22, 0x1.71ddee618dfa9p-19, 0x1.a01995c128549p-16, 0x1.a01a01b44afdfp-13, 0x1.6c16c186053dfp-10, 0x1.111111110e9efp-7, 0x1.555555554fe0bp-5, 0x1.555555555555cp-3, 0x1.000000000000cp-1, 0x1.0000000000000p+0, 0x1.0000000000000p+0
#define ROW_LN2_HI 0x1.62e42fefa4000p-1 /* 0.69314718 */
#define ROW_LN2_LO -0x1.8432a1b0e2634p-43 /* -1.7239445e-13 */
/* 2(atanh(s) - s)/s^3 in s^2, 0 <= |s| <= 0.2005: error 2^-65.33 */
#define ROW_ATANH_REST 0x1.f8a7dae49abe5p-4, 0x1.dcc32bdbaa4f5p-4, 0x1.11265eee60c27p-3, 0x1.3b137162a7701p-3, 0x1.745d1649b4ea2p-3, 0x1.c71c71d18bfc3p-3, 0x1.2492492481b1fp-2, 0x1.9999999999b04p-2, 0x1.5555555555555p-1
/* the same, shorter: error 2^-41.14 */
#define WIDE_ATANH_REST 0x1.9c5ec11df1a29p-3, 0x1.c54d8911d06bep-3, 0x1.2496fd39958f9p-2, 0x1.99998ef10fc33p-2, 0x1.55555559449cep-1
