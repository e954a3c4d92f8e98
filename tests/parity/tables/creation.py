"""Constructors and random draws."""

from tests.parity.rows import NO_GRADIENT, NO_OUT, B, C, Dtype, I, P, S, V, call, table

RANDOM = {
    "without": (NO_GRADIENT, NO_OUT),
    "because": "a draw has no derivative worth the name; an empty `out` is refused, not resized",
}

ROWS = [
    *table(
        "zeros ones",
        call(2, 3),
        call((2, 3)),
        call(()),
        call(0),
        call(2, dtype=Dtype("int64")),
        call(-1),
    ),
    *table("zeros ones", call(2, dtype=Dtype("bool")), call([2, 1], dtype=Dtype("bfloat16"))),
    *table(
        "full",
        call((2, 3), 1.5),
        call((2,), 7),
        call((), True),
        call((2,), 3, dtype=Dtype("float32")),
    ),
    *table("full", call((2,), V(3.0)), call((-2,), 1.0), call((2,), 2.7, dtype=Dtype("int64"))),
    *table(
        "zeros_like ones_like",
        call(S(2, 3)),
        call(I(3)),
        call(S(3, 2).t()),
        call(S(2), dtype=Dtype("bool")),
    ),
    *table("zeros_like ones_like", call(S(3, 4).expanded()), call(S(2, 3).strided()), call(C(2))),
    *table(
        "full_like", call(S(2, 3), 2.5), call(I(3), 2), call(S(3, 2).t(), 1, dtype=Dtype("int32"))
    ),
    *table(
        "eye", call(3), call(2, 4), call(3, dtype=Dtype("int64")), call(0), call(-1), call(4, 2)
    ),
    *table(
        "arange",
        call(5),
        call(1, 6),
        call(1.0, 2.0, 0.25),
        call(5, 0, -2),
        call(3.0),
        call(0, 1, 0.1),
        call(2, dtype=Dtype("float64")),
        call(0, 5, 0),
        call(0, 5, -1),
        call(start=1, end=4),
        call(0),
        call(True),
    ),
    *table("range", call(1, 4), call(0.0, 1.0, 0.25), call(1, 4, -1)),
    *table(
        "linspace",
        call(0, 1, 5),
        call(-1.0, 2.0, 1),
        call(0, 10, 4, dtype=Dtype("int64")),
        call(0, 1, 0),
    ),
    *table(
        "linspace", call(3, -3, 7, dtype=Dtype("float64")), call(0, 1, -1), call(V(0.0), V(1.0), 3)
    ),
    *table(
        "logspace",
        call(0, 2, 3),
        call(0, 3, 4, 2.0),
        call(-1, 1, 3, base=10, dtype=Dtype("float64")),
    ),
    *table("scalar_tensor", call(3), call(2.5, dtype=Dtype("float64"))),
    *table("hamming_window", call(6), call(5, False), call(1), call(0), call(4, True, 0.5, 0.5)),
    *table("hann_window blackman_window bartlett_window", call(6), call(5, False), call(1)),
    *table("kaiser_window", call(5), call(6, False, 8.0)),
    # Tensor.new_*
    *table(
        "new_zeros new_ones",
        call(S(2), 2, 3),
        call(I(2), (2,)),
        call(S(2), (3,), dtype=Dtype("int64")),
    ),
    *table(
        "new_full",
        call(S(2), (2, 3), 1.5),
        call(I(2), (2,), 1.5),
        call(S(1), (), 2, dtype=Dtype("bool")),
    ),
    *table(
        "new_tensor", call(S(2), [1, 2]), call(I(2), [1.5, 2.5]), call(I(2), 3.0), call(S(1), [])
    ),
    # Random draws: the same streams, value by value
    *table(
        "rand randn",
        call(2, 3),
        call(20),
        call(17),
        call((4, 4), dtype=Dtype("float64")),
        call(0),
        **RANDOM,
    ),
    *table(
        "randint",
        call(10, (5,)),
        call(-3, 3, (2, 3)),
        call(2**40, (3,)),
        call(5, (2,), dtype=Dtype("int32")),
        **RANDOM,
    ),
    *table(
        "randint", call(3, 3, (2,)), call(0, (2,)), call(2, (3,), dtype=Dtype("float32")), **RANDOM
    ),
    *table(
        "randperm", call(10), call(1), call(0), call(5, dtype=Dtype("int32")), call(-1), **RANDOM
    ),
    *table(
        "rand_like randn_like",
        call(S(2, 3)),
        call(S(3, 2).t()),
        call(S(20, dtype="float64")),
        call(I(3)),
        **RANDOM,
    ),
    *table("randint_like", call(S(2, 3), 5), call(I(3), 2, 9), **RANDOM),
    *table(
        "bernoulli",
        call(P(5, low=0.0, high=1.0)),
        call(P(4, low=1.5)),
        call(S(4), 0.3),
        call(I(3)),
        **RANDOM,
    ),
    *table(
        "multinomial",
        call(P(4), 2),
        call(P(2, 4), 3, True),
        call(P(4), 5),
        call(V([0.0, 0.0]), 1),
        **RANDOM,
    ),
    *table(
        "multinomial",
        call(V([-1.0, 2.0]), 1),
        call(P(4), 20, replacement=True),
        call(P(2, 2, 2), 1),
        **RANDOM,
    ),
    *table(
        "normal",
        call(0.0, 1.0, (3,)),
        call(S(20), 2.0),
        call(1.0, P(4)),
        call(S(3), P(3)),
        **RANDOM,
    ),
    *table("normal", call(0.0, -1.0, (3,)), call(S(3), -1.0), **RANDOM),
    *table(
        "uniform_ normal_ exponential_ cauchy_ log_normal_",
        call(S(5)),
        call(S(20)),
        call(S(3, dtype="float64")),
        **RANDOM,
    ),
    *table(
        "uniform_ normal_",
        call(S(2, 3), 1.0, 2.0),
        call(I(3)),
        call(S(3, 2).t()),
        call(S(20).strided()),
        **RANDOM,
    ),
    *table("uniform_", call(S(3), 2.0, 1.0), call(S(4, dtype="bfloat16")), **RANDOM),
    *table("normal_", call(S(3), 0.0, -1.0), call(S(17, dtype="bfloat16")), **RANDOM),
    *table("exponential_", call(S(3), 2.0), call(S(3), -1.0), **RANDOM),
    *table("geometric_", call(S(5), 0.3), call(I(5), 0.5), call(S(2), 1.5), **RANDOM),
    *table(
        "bernoulli_",
        call(S(5)),
        call(S(5), 0.2),
        call(I(5), 0.7),
        call(S(2), P(2, high=1.0)),
        call(S(2), 2.0),
        **RANDOM,
    ),
    *table(
        "random_",
        call(S(4)),
        call(I(4)),
        call(I(4), 10),
        call(S(3), -2, 2),
        call(B(5)),
        call(I(2), 3, 1),
        **RANDOM,
    ),
    *table(
        "dropout alpha_dropout feature_alpha_dropout",
        call(S(2, 3, 4), 0.5, True),
        call(S(2, 3), 0.5, False),
    ),
    *table(
        "dropout alpha_dropout", call(S(3), 0.0, True), call(S(3), 1.0, True), call(S(3), 1.5, True)
    ),
    *table("rrelu", call(S(2, 3)), call(S(5), 0.1, 0.3, True), call(S(5), 0.1, 0.3, False)),
    *table("is_tensor is_complex is_floating_point numel", call(S(2, 3)), call(I(2))),
    *table("is_tensor", call(3), without=(NO_OUT,), because="no tensor"),
]
