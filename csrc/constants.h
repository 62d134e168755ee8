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
#define SUBNORMAL 0x1.5d589e0000000p+6f /* 87.33654 */
#define LOG_SCALE 0x1.a400000000000p+2f /* 6.5625 */
/* r, close to 1/(1 + e) */
#define LOG_RECIPROCALS 0x1.a578800000000p-1f, 0x1.762bc00000000p-1f, 0x1.5037600000000p-1f, 0x1.3267e00000000p-1f, 0x1.1818800000000p-1f, 0x1.062ae00000000p-1f, 0x1.0000000000000p+0f, 0x1.0000000000000p+0f
/* -log(r): error 2^-31.57 */
#define LOG_LOGS 0x1.8e7d000000000p-3f, 0x1.4123800000000p-2f, 0x1.aea9e00000000p-2f, 0x1.06de400000000p-1f, 0x1.34d5c00000000p-1f, 0x1.56b3e00000000p-1f, 0x0.0p+0f, 0x0.0p+0f
/* (log1p(f) - f)/f^2, -0.0595 <= f <= 0.143: error 2^-27.44 */
#define LOG1P_REST -0x1.1b2fa80000000p-3f, 0x1.980a320000000p-3f, -0x1.0024a00000000p-2f, 0x1.55566e0000000p-2f, -0x1.fffff40000000p-2f
/* 2^(j/8) to 2^-24.9, as the number whose bits have j << 20 taken away */
#define PART_SCALES 0x1.0000000000000p+0f, 0x1.f72b840000000p-1f, 0x1.f06fe00000000p-1f, 0x1.ebfdae0000000p-1f, 0x1.ea09e60000000p-1f, 0x1.eace540000000p-1f, 0x1.ee89fa0000000p-1f, 0x1.f5818e0000000p-1f
/* the logarithm of what each lacks */
#define PART_LACKING 0x0.0p+0f, -0x1.9c0c220000000p-27f, 0x1.1250020000000p-25f, -0x1.0a35520000000p-25f, 0x1.26055c0000000p-26f, 0x1.67a1ca0000000p-28f, -0x1.f9c3060000000p-27f, -0x1.a5217c0000000p-28f
/* 2^(j/8) times 0x1.16747c0000000p+0f to 2^-27.72, as the number whose bits have j << 20 taken away */
#define ROUGH_PART_SCALES 0x1.16747c0000000p+0f, 0x1.0fa8480000000p+0f, 0x1.0b24040000000p+0f, 0x1.091c8a0000000p+0f, 0x1.09cb7c0000000p+0f, 0x1.0d6fb40000000p+0f, 0x1.144dbc0000000p+0f, 0x1.1eb0520000000p+0f
/* (exp(r) - 1 - r)/r^2, |r| <= ln(2)/16: error 2^-32.34 */
#define PART_EXP_REST 0x1.555a680000000p-5f, 0x1.555cbc0000000p-3f, 0x1.0000000000000p-1f
#else
#define LOG2E 0x1.71547652b82fep+0 /* 1.442695 */
#define LN2_HI 0x1.62e42fefa39efp-1 /* 0.69314718 */
#define LN2_LO 0x1.abc9e3b39803fp-56 /* 2.3190468e-17 */
#define LN2_SPLIT_1 0x1.62e42fefa0000p-1 /* 0.69314718 */
#define LN2_SPLIT_2 0x1.cf79abc9e0000p-40 /* 1.646595e-12 */
#define LN2_SPLIT_3 0x1.d9cc01f97b57ap-79 /* 3.0618407e-24 */
/* (exp(r) - 1 - r)/r^2, |r| <= ln(2)/2: error 2^-57.94 */
#define EXP_REST 0x1.af6e9ed5c05d5p-26, 0x1.28b0efae6fca8p-22, 0x1.71ddee618dfa9p-19, 0x1.a01995c128549p-16, 0x1.a01a01b44afdfp-13, 0x1.6c16c186053dfp-10, 0x1.111111110e9efp-7, 0x1.555555554fe0bp-5, 0x1.555555555555cp-3, 0x1.000000000000cp-1
#define SUBNORMAL 0x1.6232bdd7abcd2p+9 /* 708.39642 */
#define LOG_SCALE 0x1.a400000000000p+2 /* 6.5625 */
/* r, close to 1/(1 + e) */
#define LOG_RECIPROCALS 0x1.a4fe27667f760p-1, 0x1.76a5a37230ed0p-1, 0x1.5087bde2741e0p-1, 0x1.317feea4530c0p-1, 0x1.1853c7f42e1f0p-1, 0x1.067ed822f6360p-1, 0x1.0000000000000p+0, 0x1.0000000000000p+0
/* -log(r): error 2^-61.18 */
#define LOG_LOGS 0x1.90cfd6a7e32c0p-3, 0x1.3fd62346a5750p-2, 0x1.adb53835674a0p-2, 0x1.086265c31c6e0p-1, 0x1.34696ea33a168p-1, 0x1.560ffd5971ee8p-1, 0x0.0p+0, 0x0.0p+0
/* (log1p(f) - f)/f^2, -0.0605 <= f <= 0.143: error 2^-59.02 */
#define LOG1P_REST 0x1.8deb491114ddbp-5, -0x1.427609293e387p-4, 0x1.7398c31576f8ap-4, -0x1.99ba475498f7ap-4, 0x1.c71fda3c23e77p-4, -0x1.fffffac108181p-4, 0x1.2492478727a66p-3, -0x1.5555554ebef68p-3, 0x1.9999999a2e558p-3, -0x1.0000000001790p-2, 0x1.55555555554c9p-2, -0x1.ffffffffffffep-2
/* 2^(j/8) times 0x1.0000000094d31p+0 to 2^-56.54, as the number whose bits have j << 49 taken away */
#define PART_SCALES 0x1.0000000094d31p+0, 0x1.f72b83c877630p-1, 0x1.f06fe0a3cc6d0p-1, 0x1.ebfdad5423a2dp-1, 0x1.ea09e668c6350p-1, 0x1.eace54238f928p-1, 0x1.ee89f996a7859p-1, 0x1.f5818dd0cb3a7p-1
/* (exp(r) - 1 - r)/r^2, |r| <= ln(2)/16: error 2^-58.07 */
#define PART_EXP_REST 0x1.a01fe9d144679p-13, 0x1.6c1cf85c76d76p-10, 0x1.111111098a1e3p-7, 0x1.55555546f5847p-5, 0x1.555555555560fp-3, 0x1.0000000000130p-1
#endif
/* The last step of a row, in float64 for both dtypes (rowmath.h). */
#define ROW_LOG2E 0x1.71547652b82fep+0 /* 1.442695 */
#define ROW_LN2 0x1.62e42fefa39efp-1 /* 0.69314718 */
/* exp(r), |r| <= ln(2)/2: error 2^-57.94 */
#define ROW_EXP 0x1.af6e9ed5c05d5p-26, 0x1.28b0efae6fca8p-22, 0x1.71ddee618dfa9p-19, 0x1.a01995c128549p-16, 0x1.a01a01b44afdfp-13, 0x1.6c16c186053dfp-10, 0x1.111111110e9efp-7, 0x1.555555554fe0bp-5, 0x1.555555555555cp-3, 0x1.000000000000cp-1, 0x1.0000000000000p+0, 0x1.0000000000000p+0
/* the same, shorter: error 2^-40.2 */
#define WIDE_EXP 0x1.a17dfb5ce24bcp-16, 0x1.a1aa82624efcdp-13, 0x1.6c162bacc7195p-10, 0x1.111080ab44c89p-7, 0x1.55555588bff49p-5, 0x1.555555a2708d7p-3, 0x1.ffffffffe7474p-2, 0x1.ffffffffd3899p-1, 0x1.000000000003dp+0
#define ROW_LN2_HI 0x1.62e42fefa4000p-1 /* 0.69314718 */
#define ROW_LN2_LO -0x1.8432a1b0e2634p-43 /* -1.7239445e-13 */
/* 2(atanh(s) - s)/s^3 in s^2, 0 <= |s| <= 0.2005: error 2^-65.33 */
#define ROW_ATANH_REST 0x1.f8a7dae49abe5p-4, 0x1.dcc32bdbaa4f5p-4, 0x1.11265eee60c27p-3, 0x1.3b137162a7701p-3, 0x1.745d1649b4ea2p-3, 0x1.c71c71d18bfc3p-3, 0x1.2492492481b1fp-2, 0x1.9999999999b04p-2, 0x1.5555555555555p-1
/* the same, shorter: error 2^-41.14 */
#define WIDE_ATANH_REST 0x1.9c5ec11df1a29p-3, 0x1.c54d8911d06bep-3, 0x1.2496fd39958f9p-2, 0x1.99998ef10fc33p-2, 0x1.55555559449cep-1
