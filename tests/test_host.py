"""The NumPy executor against XLA, primitive by primitive, and the rule that chooses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import flambeau
from flambeau.core import execute
from flambeau.host import trace
from flambeau.host.lowering import HostProgram, Unsupported

RANDOM = np.random.default_rng(0)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*shape, low=-9, high=9):
    return RANDOM.integers(low, high, shape)


def specified(*arrays):
    return [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays]


UNARY = [
    "neg",
    "sign",
    "floor",
    "ceil",
    "exp",
    "exp2",
    "log",
    "log1p",
    "expm1",
    "tanh",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "acosh",
    "atanh",
    "sqrt",
    "rsqrt",
    "cbrt",
    "logistic",
    "abs",
    "square",
    "is_finite",
    "erf",
    "erfc",
    "erf_inv",
    "lgamma",
    "digamma",
]
BINARY = [
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "max",
    "min",
    "pow",
    "atan2",
    "nextafter",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
]
INTEGER = [
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "max",
    "min",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
]
SHIFTS = ["shift_left", "shift_right_logical", "shift_right_arithmetic"]
REDUCTIONS = {
    "sum": lambda x: lax.reduce_sum(x, (1,)),
    "max": lambda x: lax.reduce_max(x, (0, 1)),
    "min": lambda x: lax.reduce_min(x, (0,)),
    "prod": lambda x: lax.reduce_prod(x, (1,)),
    "argmax": lambda x: lax.argmax(x, 1, np.int64),
    "argmin": lambda x: lax.argmin(x, 0, np.int32),
    "cumsum": lambda x: lax.cumsum(x, 1),
    "cumsum reverse": lambda x: lax.cumsum(x, 0, reverse=True),
    "cumprod": lambda x: lax.cumprod(x, 1),
    "cummax": lambda x: lax.cummax(x, 1),
    "cummin reverse": lambda x: lax.cummin(x, 1, reverse=True),
    "sort": lambda x: lax.sort(x, dimension=0),
}
MOVES = {
    "reshape": lambda x: lax.reshape(x, (6, 2)),
    "transpose": lambda x: lax.transpose(x, (1, 0)),
    "rev": lambda x: lax.rev(x, (0, 1)),
    "slice": lambda x: lax.slice(x, (0, 1), (3, 4), (2, 2)),
    "pad": lambda x: lax.pad(x, np.float32(7), ((1, 2, 1), (0, 1, 0))),
    "pad crop": lambda x: lax.pad(x, np.float32(7), ((-1, 0, 2), (1, -2, 0))),
    "concatenate": lambda x: lax.concatenate([x, x], 1),
    "broadcast": lambda x: lax.broadcast_in_dim(x, (2, 3, 4), (1, 2)),
    "broadcast and add": lambda x: x + lax.broadcast_in_dim(x[:, 0], (3, 4), (0,)),
    "iota": lambda x: x + lax.broadcasted_iota(np.float32, (3, 4), 1),
    "dynamic slice": lambda x: lax.dynamic_slice(x, (1, 9), (2, 2)),
    "dynamic update": lambda x: lax.dynamic_update_slice(x, x[:2, :2], (2, 1)),
    "select": lambda x: lax.select(x > 0, x, -x),
    "clamp": lambda x: lax.clamp(np.float32(-0.5), x, np.float32(0.5)),
    "round even": lambda x: lax.round(x * 2, lax.RoundingMethod.TO_NEAREST_EVEN) + lax.round(x),
    "to int": lambda x: lax.convert_element_type(x * 1e30, np.int32),
    "bitcast": lambda x: lax.bitcast_convert_type(x, np.int32),
    "dot": lambda x: lax.dot_general(x, x, (((1,), (1,)), ((), ()))),
    "batched dot": lambda x: lax.dot_general(x, x, (((1,), (1,)), ((0,), (0,)))),
    "take": lambda x: jnp.take(x, np.array([2, 0, 5]), axis=0),
    "take filled": lambda x: jnp.take(x, np.array([2, 5]), axis=0, mode="fill"),
    "take along": lambda x: jnp.take_along_axis(x, np.array([[0, 3], [1, 1], [2, 0]]), 1),
    "scatter add": lambda x: x.at[np.array([0, 0, 2])].add(x[:3]),
    "scatter set out": lambda x: x.at[np.array([0, 9]), 1].set(np.float32(5), mode="drop"),
    "scatter max": lambda x: x.at[:, np.array([0, 1])].max(np.float32(0.1)),
    "scan": lambda x: lax.scan(lambda c, row: (c + row, c * row), x[0], x)[1],
    "while": lambda x: lax.while_loop(lambda c: c[0, 0] < 9, lambda c: c * c + 1, x),
    "cond": lambda x: lax.cond(x[0, 0] > 9, lambda v: v, lambda v: -v, x),
}
LAYOUTS = [("NCHW", "OIHW", "NCHW"), ("NHWC", "HWIO", "NHWC"), ("NHWC", "OIHW", "NCHW")]
GEOMETRY = [
    ((1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
    ((2, 1), ((1, 2), (0, 1)), (1, 1), (1, 1)),
    ((1, 2), ((1, 1), (2, 0)), (2, 3), (1, 2)),
    ((1, 1), ((-1, 0), (1, -1)), (2, 1), (1, 1)),
]


def agrees(function, *arrays):
    program = HostProgram.of(function, specified(*arrays))
    wanted = np.asarray(jax.jit(function)(*arrays))
    # The list of calls, the same as source, and the source with other results beside its own.
    for found in (program(*arrays), program.fast()(*arrays), program.spread([0, 1])(*arrays)[1]):
        assert type(found) is np.ndarray
        assert found.shape == wanted.shape
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_operand(name):
    agrees(getattr(lax, name), floats(3, 4))


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_operands(name):
    agrees(getattr(lax, name), floats(3, 4), floats(3, 4))


@pytest.mark.parametrize("name", INTEGER)
def test_integers(name):
    agrees(getattr(lax, name), ints(3, 4), ints(3, 4))


@pytest.mark.parametrize("name", SHIFTS)
def test_shifts_by_any_count(name):
    agrees(getattr(lax, name), ints(3, 4), ints(3, 4, low=0, high=70))


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    agrees(REDUCTIONS[name], floats(3, 4))


@pytest.mark.parametrize("name", MOVES)
def test_moves(name):
    agrees(MOVES[name], floats(3, 4))


@pytest.mark.parametrize("geometry", GEOMETRY)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions(layout, groups, geometry):
    x, w = floats(2, 4, 7, 6), floats(6, 4 // groups, 3, 2)
    x = x.transpose(0, 2, 3, 1) if layout[0] == "NHWC" else x
    w = w.transpose(2, 3, 1, 0) if layout[1] == "HWIO" else w

    def convolution(x, w):
        return lax.conv_general_dilated(x, w, *geometry, layout, feature_group_count=groups)

    agrees(convolution, x, w)


def test_what_numpy_cannot_do_is_left_to_xla():
    with pytest.raises(Unsupported):
        HostProgram.of(lambda x: lax.linalg.lu(x)[0], specified(floats(3, 3)))
    with pytest.raises(Unsupported):
        HostProgram.of(lax.exp, [jax.ShapeDtypeStruct((3,), jnp.bfloat16)])


def test_programs_move_to_xla_by_the_number_of_calls(monkeypatch):
    monkeypatch.setattr(flambeau.config, "tier", "auto")
    monkeypatch.setattr(execute, "COMPILE_SECONDS", 5e-5)
    program = execute.Program(lambda x: lax.tanh(lax.sin(lax.cos(x))), {})
    x = floats(64, 64)
    served = []
    for _ in range(12):
        before = execute.counters.host
        program.run(x)
        served.append(execute.counters.host - before)
    assert served[0] == 1
    assert served[-1] == 0
    assert served == sorted(served, reverse=True)


@pytest.mark.parametrize(("tier", "host"), [("host", True), ("xla", False)])
def test_a_forced_tier(monkeypatch, tier, host):
    monkeypatch.setattr(flambeau.config, "tier", tier)
    program = execute.Program(lax.exp, {})
    before = execute.counters.host
    result = program.run(floats(2))
    assert (execute.counters.host > before) is host
    assert isinstance(result, np.ndarray) is host


def test_a_trace_by_jaxs_public_function_is_as_good(monkeypatch):
    monkeypatch.setattr(trace, "_tracer", lambda: trace._public)

    def function(x, absent, number, flag):
        assert absent is None
        return (x * number, {"sum": lax.reduce_sum(x, (0,))}), lax.convert_element_type(
            flag, x.dtype
        )

    x = floats(3, 4)
    program = HostProgram.of(function, [*specified(x), None, 2.0, True])
    for run in (program, program.fast()):
        (scaled, sums), flag = run(x, None, 3.0, False)
        np.testing.assert_allclose(scaled, 3 * x)
        np.testing.assert_allclose(sums["sum"], x.sum(0), rtol=1e-6)
        assert flag.dtype == x.dtype
        assert not flag
