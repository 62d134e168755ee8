/* What this CPU and its operating system can run: sl_cpu_runs_<isa>() for every instruction set of CMakeLists.txt. */
#ifndef SL_CPU_H
#define SL_CPU_H

#include <stdbool.h>

bool sl_cpu_runs_portable(void);
bool sl_cpu_runs_avx2(void);
bool sl_cpu_runs_avx512(void);
bool sl_cpu_runs_neon(void);

#endif
