"""`torch.torch_version`: a version that compares as versions do, not as text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

_PATTERN = re.compile(
    r"""\s*v?(?:(?P<epoch>\d+)!)?(?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_number>\d*))?
    (?:-(?P<post_only>\d+)|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?
    (?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_FIRST, _LAST = -1, 3  # before every pre-release; after them


def order(text: str) -> tuple[Any, ...]:
    """What orders versions as the packaging standard says (PEP 440).

    Raises:
        ValueError: the text is no version.
    """
    found = _PATTERN.fullmatch(text)
    if not found:
        raise ValueError(f"Invalid version: {text!r}")
    part = found.groupdict()
    release = [int(number) for number in part["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    post = part["post_only"] or (part["post"] and (part["post_number"] or 0))
    if part["pre"]:
        pre = (_PRE[part["pre"].lower()], int(part["pre_number"] or 0))
    else:
        pre = (_FIRST if part["dev"] and post is None else _LAST, 0)
    dev = (0, int(part["dev_number"] or 0)) if part["dev"] else (1, 0)
    local = re.split(r"[-_.]", part["local"].lower()) if part["local"] else []
    return (
        int(part["epoch"] or 0),
        tuple(release),
        pre,
        -1 if post is None else int(post),
        dev,
        tuple((1, int(piece), "") if piece.isdigit() else (0, 0, piece) for piece in local),
    )


def _text(other: Any) -> str:
    if isinstance(other, str):
        return other
    if isinstance(other, Iterable):
        return ".".join(map(str, other))
    if hasattr(other, "release"):  # `packaging.version.Version`
        return str(other)
    raise ValueError(f"Can't convert {other} to Version")


def _comparison(name: str) -> Callable[[TorchVersion, Any], bool]:
    of_orders, of_texts = getattr(tuple, name), getattr(str, name)

    def compare(self: TorchVersion, other: Any) -> bool:
        try:
            return of_orders(order(self), order(_text(other)))
        except ValueError:
            return of_texts(self, other)

    compare.__name__ = name
    return compare


class TorchVersion(str):
    """A version: text that compares with text, tuples of numbers and other versions by number.

    >>> TorchVersion("2.13.0") > "2.9", TorchVersion("2.13.0") >= (2, 13)
    (True, True)
    """

    __slots__ = ()
    __hash__ = str.__hash__
    for _name in ("__eq__", "__lt__", "__le__", "__gt__", "__ge__"):  # `!=` compares text
        locals()[_name] = _comparison(_name)
    del _name


__all__ = ["TorchVersion"]
