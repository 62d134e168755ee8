import numpy as np

__test__: dict[str, str]

sigmoid: np.ufunc
log_sigmoid: np.ufunc
softplus: np.ufunc
log_sigmoid_and_grad: np.ufunc
