"""`LBFGS`: a quasi-Newton method, and the line search by the strong Wolfe conditions.

Nocedal and Wright, Numerical Optimization (2006), algorithms 7.4, 7.5, 3.5, 3.6 and equation 3.59.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..core.modes import enable_grad, no_grad
from ..core.tensor import Tensor
from ..ops.registry import FUNCTIONS
from .optimizer import Optimizer

SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9
MOST_TRIALS = 25
_KEPT = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")
SMALLEST_CURVATURE = 1e-10


class Point(NamedTuple):
    """A trial of a line search: the step, the loss, the gradient, the slope along the line."""

    t: Any
    loss: float
    gradient: Any
    slope: Any


def cubic_minimum(a: Any, b: Any, bounds: tuple[Any, Any] | None = None) -> Any:
    """Where the cubic through two points with their slopes is least, within bounds.

    Args:
        a, b: (t, loss, slope); without `bounds`, their steps are the bounds.
    """
    least, most = bounds or ((a[0], b[0]) if a[0] <= b[0] else (b[0], a[0]))
    mean = a[2] + b[2] - 3 * (a[1] - b[1]) / (a[0] - b[0])
    square = mean**2 - a[2] * b[2]
    if not square >= 0:
        return (least + most) / 2.0
    root = square.sqrt() if isinstance(square, Tensor) else square**0.5  # type: ignore[attr-defined]
    left, right = (a, b) if a[0] <= b[0] else (b, a)
    share = (right[2] + root - mean) / (right[2] - left[2] + 2 * root)
    return min(max(right[0] - (right[0] - left[0]) * share, least), most)


class WolfeSearch:
    """A step along a line that satisfies the strong Wolfe conditions.

    Args:
        evaluate: step -> loss and gradient there.
        start: the point with step 0.
        direction: of the line.
        tolerance: stop when the bracket, times the largest component, is shorter.
        most: the most trials after the first.
    """

    def __init__(
        self,
        evaluate: Callable[[Any], Any],
        start: Point,
        direction: Any,
        tolerance: float,
        most: int,
    ) -> None:
        self.evaluate = evaluate
        self.start = start
        self.direction = direction
        self.tolerance = tolerance
        self.most = most
        self.evaluations = 0
        self.trials = 0

    def run(self, t: Any) -> Point:
        """The point found, `t` being the first step tried."""
        bracket, done = self._bracket(t)
        return bracket[0] if done else self._zoom(bracket)

    def _try(self, t: Any) -> Point:
        loss, gradient = self.evaluate(t)
        self.evaluations += 1
        return Point(t, loss, gradient, gradient.dot(self.direction))

    def _too_high(self, point: Point) -> bool:
        start = self.start
        return bool(point.loss > start.loss + SUFFICIENT_DECREASE * point.t * start.slope)

    def _flat(self, point: Point) -> bool:
        return bool(abs(point.slope) <= -CURVATURE * self.start.slope)

    def _bracket(self, t: Any) -> tuple[list[Point], bool]:
        """Two points with a good one between them; or one that is good already, and True."""
        before, now = self.start, self._try(t)
        while self.trials < self.most:
            if self._too_high(now) or (self.trials > 1 and now.loss >= before.loss):
                return [before, now], False
            if self._flat(now):
                return [now], True
            if now.slope >= 0:
                return [before, now], False
            bounds = now.t + 0.01 * (now.t - before.t), now.t * 10
            t = cubic_minimum(_facts(before), _facts(now), bounds)
            before, now = now, self._try(t)
            self.trials += 1
        return [self.start, now], False

    def _zoom(self, bracket: list[Point]) -> Point:
        """Narrow a bracket down."""
        low, high = _order(bracket)
        width = self.direction.abs().max()
        crept = done = False
        while not done and self.trials < self.most:
            if abs(bracket[1].t - bracket[0].t) * width < self.tolerance:
                break
            t = cubic_minimum(_facts(bracket[0]), _facts(bracket[1]))
            t, crept = _off_the_edges(t, bracket, crept)
            now = self._try(t)
            self.trials += 1
            if self._too_high(now) or now.loss >= bracket[low].loss:
                bracket[high] = now
                low, high = _order(bracket)
                continue
            if self._flat(now):
                done = True
            elif now.slope * (bracket[high].t - bracket[low].t) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = now
        return bracket[low]


def _facts(point: Point) -> tuple[Any, float, Any]:
    return point.t, point.loss, point.slope


def _order(bracket: list[Point]) -> tuple[int, int]:
    """The places of the lower and of the higher point."""
    return (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)


def _off_the_edges(t: Any, bracket: list[Point], crept: bool) -> tuple[Any, bool]:
    """`t` moved from an edge of the bracket where the search creeps along it.

    Returns:
        The step, and whether it is near an edge without having been moved.
    """
    least, most = min(p.t for p in bracket), max(p.t for p in bracket)
    margin = 0.1 * (most - least)
    if not min(most - t, t - least) < margin:
        return t, False
    if not (crept or t >= most or t <= least):
        return t, True
    return (most - margin if abs(t - most) < abs(t - least) else least + margin), False


class LBFGS(Optimizer):
    """Newton's method with the inverse Hessian estimated from past steps (limited memory BFGS).

    One group of parameters. `step` needs a closure and calls it several times.

    Args:
        max_iter: the most iterations in a step.
        max_eval: the most calls of the closure in a step (default 1.25 * max_iter).
        tolerance_grad: stop where no component of the gradient is larger.
        tolerance_change: stop where loss or parameters change less.
        history_size: how many past steps are kept.
        line_search_fn: 'strong_wolfe', or None for steps of length `lr`.

    Example::

        >>> x = nn.Parameter(torch.tensor([3.0, -2.0]))
        >>> optimizer = torch.optim.LBFGS([x], line_search_fn="strong_wolfe")
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (x**2).sum()
        ...     loss.backward()
        ...     return loss
        >>> optimizer.step(closure)
        tensor(13., grad_fn=<SumBackward0>)
        >>> bool(x.abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params: list[Any] = self.param_groups[0]["params"]

    # The parameters as one vector

    def _gradient(self) -> Any:
        parts = []
        for p in self._params:
            gradient = p._grad
            if gradient is None:
                gradient = FUNCTIONS["zeros_like"](p)
            elif gradient.is_sparse:
                gradient = gradient.to_dense()
            parts.append(_real(gradient).reshape(-1))
        return FUNCTIONS["cat"](parts, 0)

    def _move(self, t: Any, direction: Any) -> None:
        """Parameters + t * direction."""
        start = 0
        for p in self._params:
            real = _real(p)
            part = direction[start : start + real.numel()].view_as(real)
            real.add_(part * t)
            start += real.numel()

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[float, Any]:
        with enable_grad():
            loss = float(closure())
        return loss, self._gradient()

    # Directions

    def _direction(self, state: dict[str, Any], gradient: Any) -> Any:
        """Where to go from here: the history is brought up to date, and multiplied with."""
        if state["n_iter"] == 1:
            state.update(d=None, t=None, old_dirs=[], old_stps=[], ro=[], H_diag=1)
            state.update(prev_flat_grad=None, prev_loss=None)
            return gradient.neg()
        group = self.param_groups[0]
        change, moved = gradient.sub(state["prev_flat_grad"]), state["d"].mul(state["t"])
        curvature = change.dot(moved)
        if curvature > SMALLEST_CURVATURE:
            history = state["old_dirs"], state["old_stps"], state["ro"]
            new = change, moved, 1.0 / curvature
            for kept, value in zip(history, new, strict=True):
                if len(kept) == group["history_size"]:
                    kept.pop(0)
                kept.append(value)
            state["H_diag"] = curvature / change.dot(change)
        shares = state.setdefault("al", [None] * group["history_size"])
        direction = gradient.neg()
        changes, steps, inverses = state["old_dirs"], state["old_stps"], state["ro"]
        for i in range(len(changes) - 1, -1, -1):
            shares[i] = steps[i].dot(direction) * inverses[i]
            direction = direction - changes[i] * shares[i]
        direction = direction.mul(state["H_diag"])
        for i in range(len(changes)):
            back = changes[i].dot(direction) * inverses[i]
            direction = direction + steps[i] * (shares[i] - back)
        return direction

    def _search(
        self,
        closure: Callable[[], Any],
        t: Any,
        direction: Any,
        at: tuple[float, Any, Any],
        most: int,
    ) -> tuple[float, Any, Any, int]:
        """A line search from loss, gradient and slope: (loss, gradient, step, evaluations)."""
        name = self.param_groups[0]["line_search_fn"]
        if name != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        origin = [p.clone() for p in self._params]

        def evaluate(step: Any) -> tuple[float, Any]:
            self._move(step, direction)
            found = self._evaluate(closure)
            for p, value in zip(self._params, origin, strict=True):
                p.copy_(value)
            return found

        tolerance = self.param_groups[0]["tolerance_change"]
        search = WolfeSearch(evaluate, Point(0, *at), direction, tolerance, min(most, MOST_TRIALS))
        point = search.run(t)
        self._move(point.t, direction)
        return point.loss, point.gradient, point.t, search.evaluations

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Iterate until a tolerance or a limit is reached.

        Args:
            closure: computes the loss and the gradients anew, and returns the loss.

        Returns:
            The loss at the beginning.
        """
        group = self.param_groups[0]
        lr, most = group["lr"], group["max_iter"]
        state = self.state[self._params[0]]
        fresh = "d" not in state
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        with enable_grad():
            first_loss = closure()
        loss, gradient = float(first_loss), self._gradient()
        evaluations = 1
        state["func_evals"] += 1
        if gradient.abs().max() <= group["tolerance_grad"]:
            return first_loss
        before = state.get("prev_loss")
        for iteration in range(1, most + 1):
            state["n_iter"] += 1
            direction = state["d"] = self._direction(state, gradient)
            first = state["n_iter"] == 1
            state["t"] = min(1.0, 1.0 / gradient.abs().sum()) * lr if first else lr
            state["prev_flat_grad"], before = gradient, loss
            slope = gradient.dot(direction)
            if slope > -group["tolerance_change"]:
                break
            calls = 0
            if group["line_search_fn"] is not None:
                left = group["max_eval"] - evaluations
                loss, gradient, state["t"], calls = self._search(
                    closure, state["t"], direction, (loss, gradient, slope), left
                )
            else:
                self._move(state["t"], direction)
                if iteration != most:
                    loss, gradient = self._evaluate(closure)
                    calls = 1
            evaluations += calls
            state["func_evals"] += calls
            if evaluations >= group["max_eval"] or self._settled(state, gradient, loss - before):
                break
        state["prev_loss"] = before
        if fresh:  # PyTorch's order: what a first step keeps in the end comes last
            state.update({name: state.pop(name) for name in _KEPT})
        return first_loss

    def _settled(self, state: dict[str, Any], gradient: Any, change: float) -> bool:
        """Whether gradient, parameters or loss are within the tolerances."""
        group = self.param_groups[0]
        return bool(
            gradient.abs().max() <= group["tolerance_grad"]
            or state["d"].mul(state["t"]).abs().max() <= group["tolerance_change"]
            or abs(change) < group["tolerance_change"]
        )


def _real(x: Any) -> Any:
    """The parts of complex numbers along a last axis of their own."""
    return FUNCTIONS["view_as_real"](x) if x.dtype.is_complex else x


__all__ = ["LBFGS"]
