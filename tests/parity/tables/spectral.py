"""The namespaces `torch.fft` and `torch.special`, windows, and more of `torch.linalg`."""

from tests.parity.rows import NO_STRIDES, C, I, P, S, U, V, call, table

INF, NAN = float("inf"), float("nan")
MEMORY = {"without": (NO_STRIDES,), "because": "the gradient's memory order is the FFT library's"}
CONDITION = {"relative": 1e-4, "because": "the condition number multiplies rounding errors"}

ROWS = [
    *table(
        "fft.fft fft.ifft",
        call(S(6)),
        call(C(2, 5)),
        call(S(2, 5), 7),
        call(S(4, 3), 2, 0, "ortho"),
        call(C(3), norm="forward"),
        call(I(4)),
        call(S(3), 0),
        call(S(3), norm="half"),
        call(S()),
        call(S(3), dim=2),
        call(S(3, dtype="float16")),
        **MEMORY,
    ),
    *table(
        "fft.rfft fft.ihfft",
        call(S(6)),
        call(S(2, 5), 4),
        call(S(5, 2), dim=0, norm="ortho"),
        call(I(4)),
        call(C(3)),
        call(S(3), -1),
        **MEMORY,
    ),
    *table(
        "fft.irfft fft.hfft",
        call(C(4)),
        call(C(2, 4), 5),
        call(S(4), norm="ortho"),
        call(C(3, 2), dim=0, norm="forward"),
        call(S(1)),
        **MEMORY,
    ),
    *table(
        "fft.fftn fft.ifftn",
        call(S(2, 3)),
        call(C(2, 3, 4), (2, 2)),
        call(S(3, 4), dim=(1,)),
        call(S(2, 2), (3,), (0, 1)),
        call(S(2, 2), dim=(0, 0)),
        call(S(2, 3, 2, 2)),
        **MEMORY,
    ),
    *table(
        "fft.fft2 fft.ifft2 fft.rfft2 fft.ihfft2",
        call(S(3, 4)),
        call(S(2, 3, 4), (4, 2), norm="ortho"),
        call(S(3)),
        **MEMORY,
    ),
    *table(
        "fft.rfftn fft.ihfftn", call(S(3, 4)), call(S(3, 4), (2, 5)), call(S(2), dim=()), **MEMORY
    ),
    *table(
        "fft.irfftn fft.hfftn fft.irfft2 fft.hfft2",
        call(C(3, 4)),
        call(C(3, 4), (2, 5), norm="forward"),
        call(S(2, 1)),
        **MEMORY,
    ),
    *table("fft.fftfreq fft.rfftfreq", call(5), call(4, 0.5), call(0), call(3, 0.0), call(1)),
    *table(
        "fft.fftshift fft.ifftshift", call(S(5)), call(S(2, 3)), call(S(4, 3), 1), call(S(2), 2)
    ),
    *table(
        "hann_window hamming_window blackman_window bartlett_window kaiser_window",
        call(7),
        call(4, False),
        call(1),
        call(0),
        call(-1),
        call(5, periodic=True),
        call(3.0),
    ),
    *table("hamming_window", call(5, True, 0.5), call(5, False, 0.6, 0.4)),
    *table("kaiser_window", call(5, True, 3.0), call(5, False, beta=2.0)),
    *table(
        "special.ndtr special.log_ndtr special.erfcx special.i0e special.i1 special.i1e "
        "special.gammaln special.psi special.expit special.exp2 special.sinc",
        call(S(2, 3)),
        call(V([-2.5, 0.0, 0.5, 3.0, NAN])),
        call(I(4)),
        call(P(3, dtype="float64")),
    ),
    *table(
        "special.ndtri special.entr special.logit",
        call(P(2, 3, low=0.1, high=0.9)),
        call(V([0.0, 1, 2])),
    ),
    *table(
        "special.xlog1py special.xlogy",
        call(S(2, 3), P(3)),
        call(2.0, P(3)),
        call(S(3), 2),
        call(V([0.0, 0.0]), V([-1.0, NAN])),
        call(I(3), P(3)),
    ),
    *table(
        "special.zeta",
        call(3.0, P(3)),
        call(I(3, low=2), I(3, low=1)),
        call(V([1.5]), V([-0.5])),
    ),
    *table(
        "special.gammainc special.gammaincc",
        call(P(3), P(3)),
        call(V([0.0, INF]), V([1.0, 1.0])),
    ),
    *table("special.polygamma", call(1, P(3)), call(0, P(3)), call(-1, P(3))),
    *table("special.multigammaln", call(P(3, low=2, high=5), 3), call(P(3), 0)),
    *table("special.logsumexp special.softmax special.log_softmax", call(S(2, 3), 1)),
    *table(
        "linalg.cond",
        call(S(3, 3)),
        call(S(2, 3, 3), 1),
        call(S(3, 3), "fro"),
        call(S(3, 3), -INF),
        call(S(2, 3), 2),
        call(S(2, 3), 1),
        call(S(2, 2), 0),
        without=("gradient",),
        because="PyTorch's backward fails for stacks of matrices",
        relative=1e-4,
    ),
    *table("linalg.norm", call(S(3), 0.5), call(S(2, 3), 1), call(S(2, 3), INF, (1, 0), True)),
    *table("linalg.vector_norm", call(U(2, 3), 3, 0), call(C(2, 3)), call(S(0), INF), call(I(3))),
    *table(
        "linalg.matrix_norm",
        call(S(2, 3, 4), "nuc", (0, 2)),
        call(S(3), 2),
        call(S(2, 2), 3),
        **CONDITION,
    ),
    *table("linalg.vander", call(S(3)), call(S(2, 3), N=2), call(I(3)), call(S(3), N=1)),
    *table("linalg.tensorinv", call(S(2, 3, 6)), call(S(6, 2, 3), 1), call(S(2, 3)), **CONDITION),
    *table("linalg.tensorsolve", call(S(2, 3, 6), S(2, 3)), call(S(2, 3), S(2)), **CONDITION),
    *table(
        "linalg.solve_ex",
        call(S(3, 3), S(3)),
        call(V([[1.0, 2], [2, 4]]), V([1.0, 1])),
        **CONDITION,
    ),
    *table(
        "linalg.lu_factor linalg.inv",
        call(V([[1.0, 2.0], [2.0, 4.0]])),
        call(S(3)),
        call(I(2, 2)),
    ),
]
