"""`torch.backends.cusparselt`: NVIDIA's library for sparse products, of which nothing is built."""


def is_available() -> bool:
    """Whether cuSPARSELt can be called: no."""
    return False


def version() -> int | None:
    """cuSPARSELt's version: None."""
    return None


def get_max_alg_id() -> int | None:
    """cuSPARSELt's number of algorithms: None."""
    return None
