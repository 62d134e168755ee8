"""The elementwise routines as NumPy ufuncs: what the functions of the same names fall back to."""

cimport numpy as cnp

from simdloss._dispatch cimport active
from simdloss.ops cimport SL_HALF, fp_enter, fp_leave, fp_state

cnp.import_array()
cnp.import_ufunc()


# A ufunc loop's `data` is its routine.
cdef void loop(Routine routine, char **args, cnp.npy_intp n, const cnp.npy_intp *steps, real *unused) noexcept nogil:
    if routine == LOG_SIGMOID_AND_GRAD:
        run(routine, <const real *> args[0], steps[0], <real *> args[1], steps[1], <real *> args[2], steps[2], n)
    else:
        run(routine, <const real *> args[0], steps[0], <real *> args[1], steps[1], <real *> NULL, 0, n)


cdef void loop_f64(char **args, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *data) noexcept nogil:
    loop(<Routine> <size_t> data, args, dims[0], steps, <double *> NULL)


cdef void loop_f32(char **args, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *data) noexcept nogil:
    loop(<Routine> <size_t> data, args, dims[0], steps, <float *> NULL)


cdef enum:
    CHUNK = 512


# float16 is computed in float32, a chunk at a time.
cdef void loop_f16(char **args, const cnp.npy_intp *dims, const cnp.npy_intp *steps, void *data) noexcept nogil:
    cdef Routine routine = <Routine> <size_t> data
    cdef float x[CHUNK]
    cdef float y[CHUNK]
    cdef float z[CHUNK]
    cdef cnp.npy_intp done = 0, m
    cdef fp_state caller = fp_enter()
    while done < dims[0]:
        m = min(<cnp.npy_intp> CHUNK, dims[0] - done)
        active.f32.gather(x, 1, args[0] + done * steps[0], steps[0], m, SL_HALF, 0)
        if routine == LOG_SIGMOID_AND_GRAD:
            run(routine, <const float *> x, sizeof(float), y, sizeof(float), z, sizeof(float), m)
            active.f32.scatter(args[2] + done * steps[2], steps[2], z, 1, m, SL_HALF, 0)
        else:
            run(routine, <const float *> x, sizeof(float), y, sizeof(float), <float *> NULL, 0, m)
        active.f32.scatter(args[1] + done * steps[1], steps[1], y, 1, m, SL_HALF, 0)
        done += m
    fp_leave(caller)


# NumPy takes the loop of exactly the input's type, or else the first one that it casts to safely: float64 stands first,
# so that bool and every integer, int8 too, become float64.
cdef cnp.PyUFuncGenericFunction loops[3]
loops[:] = [<cnp.PyUFuncGenericFunction> loop_f64, <cnp.PyUFuncGenericFunction> loop_f32,
            <cnp.PyUFuncGenericFunction> loop_f16]
cdef char types_1_1[6]
types_1_1[:] = [cnp.NPY_DOUBLE, cnp.NPY_DOUBLE, cnp.NPY_FLOAT, cnp.NPY_FLOAT, cnp.NPY_FLOAT16, cnp.NPY_FLOAT16]
cdef char types_1_2[9]
types_1_2[:] = [cnp.NPY_DOUBLE, cnp.NPY_DOUBLE, cnp.NPY_DOUBLE, cnp.NPY_FLOAT, cnp.NPY_FLOAT, cnp.NPY_FLOAT,
                cnp.NPY_FLOAT16, cnp.NPY_FLOAT16, cnp.NPY_FLOAT16]
cdef void *data[4][3]


cdef object new_ufunc(Routine routine, int outputs, char *types, const char *name, const char *doc):
    data[<int> routine][:] = [<void *> <size_t> routine, <void *> <size_t> routine, <void *> <size_t> routine]
    return cnp.PyUFunc_FromFuncAndData(loops, data[<int> routine], types, 3, 1, outputs, cnp.PyUFunc_None,
                                       <char *> name, <char *> doc, 0)


sigmoid = new_ufunc(SIGMOID, 1, types_1_1, "sigmoid", "1 / (1 + exp(-x)), element-wise; see simdloss.sigmoid.")
log_sigmoid = new_ufunc(LOG_SIGMOID, 1, types_1_1, "log_sigmoid",
                        "log(sigmoid(x)), element-wise; see simdloss.log_sigmoid.")
softplus = new_ufunc(SOFTPLUS, 1, types_1_1, "softplus", "log(1 + exp(x)), element-wise; see simdloss.softplus.")
log_sigmoid_and_grad = new_ufunc(
    LOG_SIGMOID_AND_GRAD, 2, types_1_2, "log_sigmoid_and_grad",
    "log(sigmoid(x)) and its derivative sigmoid(-x), element-wise; see simdloss.log_sigmoid_and_grad.")
