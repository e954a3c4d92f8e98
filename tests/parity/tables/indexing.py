"""Gathering, scattering, masks; everything that takes an index tensor."""

from tests.parity.rows import NO_FUNCTION, NO_GRADIENT, B, I, P, S, V, call, table

INDEX = V([0, 2, 0], "int64")
GRID = V([[0, 1, 1], [1, 0, 0]], "int64")

ROWS = [
    *table(
        "gather",
        call(S(2, 3), 1, GRID),
        call(S(3, 3), 0, GRID),
        call(S(2, 3), -1, V([[2], [0]], "int64")),
        call(S(3), 0, V(1, "int64")),
        call(S(), 0, V(0, "int64")),
        call(I(2, 3), 1, GRID),
        call(S(2, 3), 1, V([[0], [3]], "int64")),
        call(S(2, 3), 1, S(2, 3)),
        call(S(2, 3), 1, V([0, 1], "int64")),
        call(S(2, 3), 1, V([[0, 1]], "int32")),
        call(S(2, 2), 0, GRID),
        call(S(3, 3), 0, GRID, sparse_grad=False),
    ),
    *table(
        "scatter scatter_add",
        call(S(2, 3), 1, GRID, S(2, 3)),
        call(S(3, 3), 0, GRID, S(2, 3)),
        call(S(5), 0, INDEX, S(4)),
        call(I(2, 3), 0, GRID, I(2, 3)),
        call(S(2, 3), 1, V([[5]], "int64"), S(2, 3)),
        call(S(2, 3), 1, GRID, I(2, 3)),
        call(S(2, 3), 1, GRID, S(1, 3)),
    ),
    *table("scatter", call(S(2, 3), 1, GRID, 5.0), call(S(2, 3), 0, GRID, value=2)),
    *table("scatter", call(S(2, 3), 1, GRID, S(2, 3), reduce="add")),
    *table("scatter", call(S(2, 3), 1, GRID, 2.0, reduce="multiply")),
    *table(
        "scatter_reduce",
        *(
            call(S(3, 3), 0, GRID, S(2, 3), reduce=reduce, include_self=include)
            for reduce in ("sum", "prod", "mean", "amax", "amin")
            for include in (True, False)
        ),
        call(S(3, 3), 0, GRID, S(2, 3), reduce="nothing"),
    ),
    *table(
        "index_select",
        call(S(3, 4), 0, INDEX),
        call(S(2, 3), -1, INDEX),
        call(S(3), 0, V(1, "int64")),
        call(S(3, 4), 0, V([0, 1], "int32")),
        call(S(3, 4), 0, V([3], "int64")),
        call(S(3, 4), 0, V([-1], "int64")),
        call(S(3, 4), 0, GRID),
        call(S(3, 4), 0, S(2)),
    ),
    *table(
        "index_add",
        call(S(3, 4), 0, INDEX, S(3, 4)),
        call(S(2, 3), 1, INDEX, S(2, 3), alpha=2.5),
        call(S(3), 0, V(1, "int64"), S()),
        call(I(3), 0, INDEX, I(3)),
        call(S(3, 4), 0, INDEX, S(2, 4)),
        call(S(3, 4), 0, V([5], "int64"), S(1, 4)),
    ),
    *table(
        "index_copy",
        call(S(3, 4), 0, V([2, 0], "int64"), S(2, 4)),
        call(S(2, 3), 1, V([1], "int64"), S(2, 1)),
        call(S(3), 0, V([0, 3], "int64"), S(2)),
    ),
    *table(
        "index_fill",
        call(S(3, 4), 0, INDEX, 7.0),
        call(S(2, 3), 1, V(1, "int64"), V(2.5)),
        call(I(3), 0, INDEX, 2),
        call(S(3), 0, V([-1], "int64"), 1.0),
        call(S(3), 0, V([3], "int64"), 1.0),
    ),
    *table(
        "index_reduce",
        *(
            call(S(3, 2), 0, INDEX, S(3, 2), reduce, include_self=include)
            for reduce in ("prod", "mean", "amax", "amin")
            for include in (True, False)
        ),
    ),
    *table(
        "index_put",
        call(S(3, 4), (V([0, 2], "int64"),), S(2, 4)),
        call(S(3, 4), (V([0, 2], "int64"), V([1, 1], "int64")), S(2)),
        call(S(3, 4), (INDEX,), S(4), True),
        call(S(3, 4), (V([0, 0], "int64"),), V(1.0), accumulate=True),
        call(S(2, 3), (B(2, 3),), V(9.0)),
        call(S(3), (V([3], "int64"),), V(9.0)),
        call(S(3), (V([0], "int64"),), I(1)),
    ),
    *table("take", call(S(2, 3), V([0, 5, -1], "int64")), call(S(2, 3), GRID), call(S(3), I(0))),
    *table("take", call(S(2, 3), V([6], "int64")), call(S(2, 3), S(2))),
    *table("take_along_dim", call(S(2, 3), GRID, 1), call(S(2, 3), V([0, 5], "int64"))),
    *table("take_along_dim", call(S(2, 3), V([[0], [2]], "int64"), dim=1), call(S(2), GRID, 1)),
    *table(
        "put",
        call(S(2, 3), V([0, 5], "int64"), S(2)),
        call(S(2, 3), V([0, 0], "int64"), S(2), accumulate=True),
        call(S(3), V([0, 1], "int64"), S(3)),
    ),
    *table(
        "masked_fill",
        call(S(2, 3), B(2, 3), 5.0),
        call(S(2, 3), B(3), V(2.0)),
        call(I(3), B(3), 2),
        call(S(2, 3), B(2, 1), float("-inf")),
        call(S(2, 3), B(2), 1.0),
        call(S(3), I(3), 1.0),
        call(S(3), B(2, 3), 1.0),
        call(I(3), B(3), 1.5),
        call(S(3), B(3), S(2)),
    ),
    *table(
        "masked_select",
        call(S(2, 3), B(2, 3)),
        call(S(2, 3), B(3)),
        call(S(3), B(2, 3)),
        call(I(3), B(3)),
    ),
    *table("masked_select", call(S(2, 3), I(2, 3)), call(S(2, 3), B(2))),
    *table(
        "masked_scatter",
        call(S(2, 3), B(2, 3), S(6)),
        call(S(2, 3), B(3), S(2, 3)),
        call(S(2, 3), B(2, 3), S(0)),
        call(S(3), B(3), I(3)),
    ),
    *table(
        "nonzero",
        call(I(2, 3, low=0, high=2)),
        call(B(4)),
        call(S()),
        call(S(0, 2)),
        call(I(2, 3, low=0, high=2), as_tuple=True),
        call(I(5, low=0, high=2), as_tuple=False),
    ),
    *table("argwhere", call(I(2, 3, low=0, high=2)), call(V(1.0))),
    *table(
        "nonzero_static", call(I(2, 3, low=0, high=2), size=4), call(B(3), size=5, fill_value=9)
    ),
    *table(
        "where",
        call(S(2, 3), B(2, 3), S(2, 3)),
        call(S(3), B(3), 0.0),
        without=(NO_FUNCTION,),
        because="the method's order of arguments",
    ),
    *table(
        "select_scatter",
        call(S(2, 3), S(3), 0, 1),
        call(S(2, 3), S(2), -1, -1),
        call(S(2), S(2), 0, 0),
    ),
    *table("slice_scatter", call(S(4, 2), S(2, 2), 0, 1, 3), call(S(2, 6), S(2, 2), 1, 0, 6, 3)),
    *table("slice_scatter", call(S(4), S(4)), call(S(4), S(3), 0, 0, 2)),
    *table("diagonal_scatter", call(S(3, 3), S(3)), call(S(3, 4), S(3), 1), call(S(3, 3), S(2))),
    *table("tril_indices triu_indices", call(3, 4), call(3, 3, 1), call(4, 2, offset=-1)),
    *table("unravel_index", call(V([1, 5], "int64"), (2, 3)), call(V(4, "int64"), (2, 3))),
    *table(
        "embedding",
        call(S(5, 3), V([0, 4, 0], "int64")),
        call(S(5, 3), GRID, 1),
        call(S(5, 3), GRID, -1, True),
        call(S(5, 3), V([5], "int64")),
        call(S(5, 3), S(2)),
    ),
    *table(
        "embedding_bag",
        call(S(5, 3), V([0, 4, 0, 1], "int64"), V([0, 2], "int64")),
        call(S(5, 3), V([0, 4, 0, 1], "int64"), V([0, 2], "int64"), mode=1),
        call(S(5, 3), V([0, 4, 0, 1], "int64"), V([0, 2], "int64"), mode=2),
        call(S(5, 3), V([0, 4], "int64"), V([0], "int64"), False, 0, False, P(2)),
    ),
    *table("normal", call(S(2), V([-1.0, 1.0])), without=(NO_GRADIENT,), because="random"),
]
