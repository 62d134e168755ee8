/* The caller's floating-point state in standard C: rounding, flush-to-zero, exception flags. */
#include <fenv.h>

typedef fenv_t fp_state;

/* The default environment: exceptions masked, round to nearest, subnormals kept; what the caller had is returned. */
static inline fp_state fp_enter(void)
{
    fp_state before;
    fegetenv(&before);
    fesetenv(FE_DFL_ENV);
    return before;
}

static inline void fp_leave(fp_state before) { fesetenv(&before); }
