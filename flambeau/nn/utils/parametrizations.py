"""Parametrizations to use: orthogonal, weight-normalised and spectrally normalised tensors."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from ...core.modes import no_grad
from ...core.tensor import Tensor
from ...dtypes import finfo
from ...ops.namespaces import LINALG
from ...ops.registry import FUNCTIONS
from ..functional import normalize
from ..modules.module import Module
from . import parametrize
from .spectral_norm import default_dim
from .weight_norm import _weight_norm

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _is_orthogonal(matrix: Any, eps: float | None = None) -> bool:
    """Whether the columns are orthonormal, up to rounding."""
    rows, columns = matrix.shape[-2:]
    identity = FUNCTIONS["eye"](columns, dtype=matrix.dtype, device=matrix.device)
    eps = 10.0 * rows * finfo(matrix.dtype).eps if eps is None else eps
    return bool(FUNCTIONS["allclose"](matrix.mH @ matrix, identity, atol=eps))


def _make_orthogonal(matrix: Any) -> Any:
    """The Q of the QR decomposition in which the diagonal of R is positive."""
    reflections, tau = FUNCTIONS["geqrf"](matrix)
    q = LINALG["householder_product"](reflections, tau)
    return q * reflections.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


class _OrthMaps(Enum):
    """Ways from any matrix to an orthogonal one."""

    matrix_exp = auto()
    cayley = auto()
    householder = auto()


class _Orthogonal(Module):
    """An orthogonal matrix from any matrix; with `base`, as a rotation of that."""

    base: Tensor | None

    def __init__(
        self, weight: Any, orthogonal_map: _OrthMaps, *, use_trivialization: bool = True
    ) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map is _OrthMaps.householder:
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Tensor:
        """The orthogonal matrix; its rows are orthonormal where it has fewer rows than columns."""
        wide = X.shape[-2] < X.shape[-1]
        free = X.mT if wide else X
        if self.orthogonal_map is _OrthMaps.householder:
            result = _from_reflections(free)
        else:
            result = self._from_skew(free)
        base: Any = getattr(self, "base", None)
        if base is not None:
            result = base @ result
        return result.mT if wide else result

    def _from_skew(self, free: Any) -> Any:
        """The first columns of exp(A), or of (I - A/2)^-1 (I + A/2), A skew-symmetric."""
        rows, columns = free.shape[-2:]
        lower = free.tril()
        if rows != columns:
            zeros = lower.new_zeros(*lower.shape[:-1], rows - columns)
            lower = FUNCTIONS["cat"]([lower, zeros], dim=-1)
        skew = lower - lower.mH
        if self.orthogonal_map is _OrthMaps.matrix_exp:
            result = FUNCTIONS["matrix_exp"](skew)
        else:
            identity = FUNCTIONS["eye"](rows, dtype=skew.dtype, device=skew.device)
            result = LINALG["solve"](identity - skew / 2, identity + skew / 2)
        return result if rows == columns else result[..., :columns]

    @no_grad()
    def right_inverse(self, Q: Any) -> Tensor:
        """What gives `Q`, or, if it is not orthogonal, the orthogonal factor of it."""
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of "
                f"shape {Q.shape}."
            )
        wide = Q.shape[-2] < Q.shape[-1]
        tall = Q.mT if wide else Q
        if hasattr(self, "base"):
            self.base = _completed(tall)
            result = FUNCTIONS["zeros_like"](Q)
            result.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
            return result
        if self.orthogonal_map is not _OrthMaps.householder:
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley "
                "parametrizations when use_trivialization=False."
            )
        reflections, tau = FUNCTIONS["geqrf"](tall)
        diagonal = reflections.diagonal(dim1=-2, dim2=-1)
        signs = diagonal.sign()
        diagonal.copy_(FUNCTIONS["where"](tau == 0, -signs, signs))
        return reflections.mT if wide else reflections


def _from_reflections(free: Any) -> Any:
    """The product of the Householder reflections of the columns below the diagonal.

    The diagonal, of ones and minus ones, gives the columns their signs; it is not trained.
    """
    below = free.tril(diagonal=-1)
    tau = 2.0 / (1.0 + (below * below).sum(dim=-2))
    product = LINALG["householder_product"](below, tau)
    return product * free.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)


def _completed(tall: Any) -> Any:
    """A square orthogonal matrix that begins with the orthogonal factor of `tall`."""
    rows, columns = tall.shape[-2:]
    if rows == columns:
        return tall.clone() if _is_orthogonal(tall) else _make_orthogonal(tall)
    drawn = FUNCTIONS["randn"](
        *tall.shape[:-2], rows, rows - columns, dtype=tall.dtype, device=tall.device
    )
    return _make_orthogonal(FUNCTIONS["cat"]([tall, drawn], dim=-1))


def _owned(module: Module, name: str) -> Any:
    tensor = getattr(module, name, None)
    if not isinstance(tensor, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return tensor


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
) -> Module:
    """Keep a matrix, or a batch of matrices, orthogonal while it is trained.

    Its columns are orthonormal, or its rows, where there are fewer rows than columns.

    Args:
        module: the owner of the tensor.
        name: the tensor's name.
        orthogonal_map: how a free matrix becomes orthogonal: `"matrix_exp"`, exp(A) of a
            skew-symmetric A (the default for square matrices), `"cayley"`,
            (I - A/2)^-1 (I + A/2), or `"householder"`, a product of reflections.
        use_trivialization: train a rotation of the initial matrix (Lezcano-Casado 2019,
            arXiv:1909.09501), which makes training easier, at the price of one more matrix.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or it is no matrix.

    Example::

        >>> layer = nn.utils.parametrizations.orthogonal(nn.Linear(4, 2))
        >>> torch.allclose(layer.weight @ layer.weight.T, torch.eye(2), atol=1e-6)
        True
    """
    weight = _owned(module, name)
    if weight.ndim < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions."
        )
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    chosen = getattr(_OrthMaps, orthogonal_map, None)
    if chosen is None:
        raise ValueError(
            'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: '
            f"{orthogonal_map}"
        )
    made = _Orthogonal(weight, chosen, use_trivialization=use_trivialization)
    parametrize.register_parametrization(module, name, made, unsafe=True)
    return module


class _WeightNorm(Module):
    """A tensor from its lengths and directions."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        """g * v / ||v||"""
        return _weight_norm(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The lengths, and the tensor itself as direction."""
        return FUNCTIONS["norm_except_dim"](weight, 2, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train a weight as a length times a direction (Salimans and Kingma 2016, arXiv:1602.07868).

    w = g * v / ||v||; `module.parametrizations.weight.original0` is g, `original1` is v.

    Args:
        module: the owner of the weight.
        name: the weight's name.
        dim: one length for each index of this dimension; None for a single one.

    Returns:
        The module.

    Example::

        >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(20, 40))
        >>> layer.parametrizations.weight.original0.shape
        torch.Size([40, 1])
    """
    parametrize.register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename(
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """States of `nn.utils.weight_norm` call them weight_g and weight_v."""
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename)
    return module


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which the power method follows."""

    _u: Tensor
    _v: Tensor

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12
    ) -> None:
        super().__init__()
        ndim = weight.ndim
        if dim >= ndim or dim < -ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but "
                f"got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                "Expected n_power_iterations to be positive, but got "
                f"n_power_iterations={n_power_iterations}"
            )
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._reshape_weight_to_matrix(weight)
            for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                drawn = matrix.new_empty(size).normal_(0, 1)  # type: ignore[attr-defined]
                self.register_buffer(name, normalize(drawn, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _reshape_weight_to_matrix(self, weight: Any) -> Any:
        if self.dim != 0:
            others = (d for d in range(weight.ndim) if d != self.dim)
            weight = weight.permute(self.dim, *others)
        return weight.flatten(1)

    @no_grad()
    def _power_method(self, matrix: Any, n_power_iterations: int) -> None:
        """u <- W v / ||W v||, v <- W^T u / ||W^T u||, so many times."""
        mv = FUNCTIONS["mv"]
        for _ in range(n_power_iterations):
            self._u.copy_(normalize(mv(matrix, self._v), dim=0, eps=self.eps))  # type: ignore[attr-defined]
            self._v.copy_(normalize(mv(matrix.H, self._u), dim=0, eps=self.eps))  # type: ignore[attr-defined]

    def forward(self, weight: Any) -> Tensor:
        """W / (u^T W v)"""
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._reshape_weight_to_matrix(weight)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # What later calls write must not reach what this one saves for `backward`.
        u, v = self._u.clone(), self._v.clone()  # type: ignore[attr-defined]
        return weight / FUNCTIONS["vdot"](u, FUNCTIONS["mv"](matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        """The value itself: what has norm 1 is kept."""
        return value


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    Args:
        module: the owner of the weight.
        name: the weight's name.
        n_power_iterations: steps of the power method at each reading in training mode.
        eps: the least norm to divide by.
        dim: the dimension that outputs are counted by; 1 for transposed convolutions, else 0.

    Returns:
        The module.

    Example::

        >>> layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3))
        >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 3)
        1.0
    """
    weight = _owned(module, name)
    made = _SpectralNorm(
        weight, n_power_iterations, default_dim(module) if dim is None else dim, eps
    )
    parametrize.register_parametrization(module, name, made)
    return module
