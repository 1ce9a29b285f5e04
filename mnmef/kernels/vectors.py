"""Numbers of several problems as one value of compiled functions, a vector of the processor's: optional, as without it
the same functions take one problem after the other.

Off where the environment variable MNMEF_VECTORS is 0.
"""

import math
import operator
import os
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model
from numba.np.arrayobj import populate_array

IS_ON = os.environ.get("MNMEF_VECTORS", "1") != "0"
EIGHT = 8
LINE = 512
"""Bits of a line of the cache, and of the longest vectors."""

if IS_ON and numba.config.CPU_FEATURES is None:
    # LLVM keeps to half of the width of a processor's vectors where all of it once slowed down the clock.
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        numba.config.CPU_FEATURES = features.flatten() + ",-prefer-256-bit"


class Vector(types.Type):
    """The type of a number in each of some lanes, to the compiler."""

    def __init__(self, dtype: Any, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype} x {lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), kind.lanes))


def _splat(context: Any, builder: Any, value: Any, source: Any, kind: Vector) -> Any:
    """A number in all lanes; a vector as it is."""
    if isinstance(source, Vector):
        return value
    number, zero = context.cast(builder, value, source, kind.dtype), ir.Constant(ir.IntType(32), 0)
    first = builder.insert_element(ir.Constant(context.get_value_type(kind), ir.Undefined), number, zero)
    order = ir.Constant(ir.VectorType(ir.IntType(32), kind.lanes), None)
    return builder.shuffle_vector(first, first, order)


def _define(function: Any, operands: int, emit: Callable[..., Any]) -> None:
    """Let an operator act on vectors, and on vectors and numbers."""

    class Template(AbstractTemplate):
        def generic(self, args: Any, _keywords: Any) -> Any:
            kinds = {arg for arg in args if isinstance(arg, Vector)}
            is_ours = len(args) == operands and len(kinds) == 1
            is_ours &= all(isinstance(arg, Vector | types.Number) for arg in args)
            return signature(*kinds, *args) if is_ours else None

    infer_global(function)(Template)

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pairs = zip(values, signature.args, strict=True)
        return emit(builder, *(_splat(context, builder, value, kind, signature.return_type) for value, kind in pairs))

    forms = [(Vector,)] if operands == 1 else [(Vector, Vector), (Vector, types.Number), (types.Number, Vector)]
    for form in forms:
        lower_builtin(function, *form)(lower)


def _call(name: str) -> Callable[..., Any]:
    """An operation of LLVM's on a vector."""

    def emit(builder: Any, x: Any) -> Any:
        kind = f"v{x.type.count}f{64 if x.type.element == ir.DoubleType() else 32}"
        function = ir.FunctionType(x.type, [x.type])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, f"{name}.{kind}"), [x])

    return emit


for _function, _emit in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _define(_function, 2, getattr(ir.IRBuilder, _emit))
    _define(getattr(operator, f"i{_function.__name__}"), 2, getattr(ir.IRBuilder, _emit))
_define(operator.truediv, 2, ir.IRBuilder.fdiv)
_define(operator.neg, 1, ir.IRBuilder.fneg)
_define(math.sqrt, 1, _call("llvm.sqrt"))
_define(abs, 1, _call("llvm.fabs"))


def _view(lanes: Callable[[Any], int]) -> Any:
    """A function that gives an array (..., lanes) as one (...) of vectors, which need not begin with a line."""

    @intrinsic
    def view(_typing, array):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        kind = types.Array(Vector(array.dtype, lanes(array.dtype)), array.ndim - 1, array.layout, aligned=False)

        def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            source, target = (
                context.make_array(array)(context, builder, values[0]),
                context.make_array(kind)(context, builder),
            )
            size = context.get_constant(types.intp, kind.dtype.lanes * kind.dtype.dtype.bitwidth // 8)
            shape, strides = (cgutils.unpack_tuple(builder, field)[:-1] for field in (source.shape, source.strides))
            data = builder.bitcast(source.data, target.data.type)
            populate_array(target, data, shape, strides, size, source.meminfo, source.parent)
            return impl_ret_borrowed(context, builder, kind, target._getvalue())

        return kind(array), generate

    return view


eights = _view(lambda _: EIGHT)
lines = _view(lambda dtype: LINE // dtype.bitwidth)


@intrinsic
def every(_typing, number):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """The same number in eight lanes."""
    vector = Vector(number, EIGHT)

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return _splat(context, builder, values[0], number, vector)

    return vector(number), generate


@intrinsic
def where_less(_typing, a, b, x, y):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """In each lane x where a < b, else y, also where a or b is not a number."""
    vector = next(kind for kind in (a, b, x, y) if isinstance(kind, Vector))

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        pairs = zip(values, (a, b, x, y), strict=True)
        low, high, first, second = (_splat(context, builder, value, kind, vector) for value, kind in pairs)
        return builder.select(builder.fcmp_ordered("<", low, high), first, second)

    return vector(a, b, x, y), generate


@intrinsic
def any_less(_typing, a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """True if a < b in a lane."""
    vector = a if isinstance(a, Vector) else b

    def generate(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        pairs = zip(values, (a, b), strict=True)
        low, high = (_splat(context, builder, value, kind, vector) for value, kind in pairs)
        bits = builder.bitcast(builder.fcmp_ordered("<", low, high), ir.IntType(vector.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(a, b), generate
