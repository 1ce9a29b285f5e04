"""How the kernels of this package are compiled."""

from pathlib import Path
from typing import Any

import numba

from mnmef.io.machine_code import cache_folder

try:
    from mnmef.kernels.vectors import IS_ON as HAS_VECTORS  # before the first function is compiled
except ImportError:
    HAS_VECTORS = False

OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Of a kernel, which Python calls: kept for the next process, run beside other threads, with no error for a division by
zero, and with a product and a sum as one instruction.
"""

INNER: dict[str, Any] = {**OPTIONS, "cache": False, "forceinline": True}
"""Of a function that kernels call, compiled into each of them. The compiler would make other contractions of a copy
beside them, and which copy is linked would depend on whether this process or an earlier one compiled it.
"""

numba.config.CACHE_DIR = str(cache_folder(Path(__file__).parent, numba.config.CACHE_DIR, HAS_VECTORS))
