"""The same program under both libraries."""

import numpy as np
import torch

import flambeau


def run(expression, library, **names):
    """The value of an expression with `torch`, `nn` and `F` of a library."""
    scope = {"torch": library, "nn": library.nn, "F": library.nn.functional, **names}
    return eval(expression, scope)


def numpy(tensor):
    """The values of either library's tensor."""
    return tensor.detach().numpy()


def ours_of(tensor):
    """The oracle's tensor in flambeau."""
    return flambeau.tensor(tensor.detach().numpy())


def assert_close(ours, theirs, what="", tolerance=1e-5):
    """Equal shape and type, values close relative to the largest."""
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b, what, tolerance)
        return
    if theirs is None:
        assert ours is None, what
        return
    assert str(ours.dtype) == str(theirs.dtype), f"{what}: {ours.dtype} and {theirs.dtype}"
    a, b = numpy(ours), numpy(theirs)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    if a.dtype.kind in "bi":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    scale = max(np.abs(b[np.isfinite(b)]).max(initial=0), 1e-6)
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=what)


def inputs_of(shapes, kind="float"):
    """The same values as tensors of both libraries, the floating ones with gradients."""
    generator = np.random.default_rng(3)
    pairs = []
    for shape in shapes:
        if isinstance(shape, np.ndarray):
            array = shape
        else:
            array = generator.standard_normal(shape).astype(np.float32)
        grad = array.dtype.kind == "f" and kind == "float"
        pair = [flambeau.tensor(array), torch.from_numpy(array.copy())]
        pairs.append([t.requires_grad_(grad) for t in pair])
    return [p[0] for p in pairs], [p[1] for p in pairs]
