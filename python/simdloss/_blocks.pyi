# Private: only cimported, nothing for Python.
from typing import Any

__pyx_capi__: dict[str, Any]
__test__: dict[str, str]
