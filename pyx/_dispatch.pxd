from simdloss.ops cimport sl_backend

# The kernels in use; read it at every call, since use_isa() changes it.
cdef const sl_backend *active
