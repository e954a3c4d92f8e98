"""`torch.hub`: where downloaded models lie. Downloading itself is left to the program."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NoReturn

_chosen: str | None = None


def _get_torch_home() -> str:
    """The folder of PyTorch's caches: `$TORCH_HOME`, or `torch` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir() -> str:
    """The folder of downloaded models: `set_dir`'s, or `$TORCH_HOME/hub`."""
    return os.path.join(_get_torch_home(), "hub") if _chosen is None else _chosen


def set_dir(d: str | os.PathLike[str]) -> None:
    """Choose the folder of downloaded models."""
    global _chosen
    _chosen = os.path.expanduser(d)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """Load a file that was downloaded before, as `load` does.

    Args:
        url: where it came from; its last part is the file's name.
        model_dir: the folder that it lies in; `get_dir()/checkpoints` by default.
        map_location: on which device to make the tensors.
        progress, check_hash: about the download.
        file_name: the file's name where it is not the last part of `url`.
        weights_only: see `load`.

    Raises:
        NotImplementedError: the file is not there; downloading is not built.
    """
    from .serialization import load

    folder = Path(model_dir or os.path.join(get_dir(), "checkpoints"))
    path = folder / (file_name or url.partition("?")[0].rstrip("/").rpartition("/")[2])
    if not path.exists():
        raise NotImplementedError(
            f"torch.hub: downloading is not built; fetch {url} yourself and put it at {path}"
        )
    return load(path, map_location=map_location, weights_only=weights_only)


def _not_built(name: str) -> Any:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"torch.hub.{name}: downloading is not built")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises: downloading is not built."
    return function


download_url_to_file = _not_built("download_url_to_file")
help = _not_built("help")
list = _not_built("list")
load = _not_built("load")

__all__ = [
    "download_url_to_file",
    "get_dir",
    "help",
    "list",
    "load",
    "load_state_dict_from_url",
    "set_dir",
]
