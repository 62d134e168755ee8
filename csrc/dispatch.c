/* The backends of this build. SL_ISAS comes from CMakeLists.txt: X(isa) for each one built, best first. */
#include "cpu.h"
#include "ops.h"

#include <stdbool.h>
#include <string.h>

#define X(isa)                            \
    extern const sl_ops_f32 sl_ops_f32_##isa; \
    extern const sl_ops_f64 sl_ops_f64_##isa;
SL_ISAS
#undef X

static const struct {
    sl_backend backend;
    bool (*runs)(void);
} built[] = {
#define X(isa) {{#isa, &sl_ops_f32_##isa, &sl_ops_f64_##isa}, sl_cpu_runs_##isa},
    SL_ISAS
#undef X
};

const sl_backend *sl_backend_at(int i)
{
    for (size_t k = 0; k < sizeof built / sizeof *built; k++)
        if (built[k].runs() && i-- == 0)
            return &built[k].backend;
    return NULL;
}

const sl_backend *sl_backend_named(const char *name)
{
    const sl_backend *backend;
    for (int i = 0; (backend = sl_backend_at(i)); i++)
        if (!strcmp(backend->name, name))
            return backend;
    return NULL;
}
