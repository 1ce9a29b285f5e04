"""Hints to the compiler that numba has no words for: optional, as they change the speed of kernels and no result.

Off where the environment variable MNMEF_VECTORS is 0.
"""

import os
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

IS_ON = os.environ.get("MNMEF_VECTORS", "1") != "0"

if IS_ON and numba.config.CPU_FEATURES is None:
    # LLVM keeps to half of the width of a processor's vectors where all of it once slowed down the clock.
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        numba.config.CPU_FEATURES = features.flatten() + ",-prefer-256-bit"


@intrinsic
def distinct(_typing):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Say that the arrays which a function is given do not overlap, so that its loops need not find out."""

    def generate(context: Any, builder: Any, _signature: Any, _values: Any) -> Any:
        if IS_ON:
            for argument in builder.function.args[2:]:  # after the result and the error
                if isinstance(argument.type, ir.PointerType):
                    argument.add_attribute("noalias")
        return context.get_dummy_value()

    return types.void(), generate
