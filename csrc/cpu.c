#include "cpu.h"

bool sl_cpu_runs_portable(void) { return true; }

/* The compiler's own detection reads CPUID and, through XGETBV, whether the operating system saves the wide registers:
   where it does not, AVX features count as absent. */
#if defined __x86_64__
#include <cpuid.h>

/* The detection of clang before 18 does not know this one (llvm-project#78384). */
static bool converts_halves(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}

bool sl_cpu_runs_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && converts_halves();
}

bool sl_cpu_runs_avx512(void)
{
    return sl_cpu_runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

#elif defined __aarch64__

/* Advanced SIMD with fma is part of the architecture. */
bool sl_cpu_runs_neon(void) { return true; }

#endif
