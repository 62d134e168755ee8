/* The kernels of one instruction set and dtype, gathered in the struct that dispatch.c hands out. */
#include "kernel.h"

#if DTYPE == 32
const sl_ops_f32 FN(ops) = {
#else
const sl_ops_f64 FN(ops) = {
#endif
#define X(name, args) .name = FN(name),
#include "ops.def"
#undef X
};
