"""Prefixes of a path's text as ranges of keys: which ranges hold every path whose text begins so?

The ranges are as tight as the encoding allows; a caller still compares the texts, since ``int:1`` also begins
``int:10``, which sorts elsewhere, and the names of unknown kinds can only be compared as text.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from gossamer.crdt import TYPES, path


def ranges_of_text(text: str) -> list[bytes]:
    """Byte prefixes in path order, none of them inside another. No path begins with a text that gives none."""
    if not isinstance(text, str):
        raise TypeError(f"prefix {text!r}: a str is wanted, not {type(text).__name__}")
    head, _, last = text.rpartition("/")
    try:
        outer = path.of_text(head) if head else b""
        return [outer + inner for inner in _last(*last.partition(":"))]
    except ValueError:  # not the beginning of any path
        return []


def _last(kind: str, colon: str, name: str) -> list[bytes]:
    if colon:
        return _named(kind, name)
    return [b""] if _may_be_unknown(kind) else _codes(kind)


def _codes(beginning: str) -> list[bytes]:
    return sorted(code for kind, code in _all_codes().items() if kind.startswith(beginning))


def _all_codes() -> dict[str, bytes]:
    named = [k for k in dict.fromkeys((*path.CONTAINERS, *path.CELLS, *TYPES)) if k not in path.OPERATIONS]
    codes = {kind: path.component(kind, "x")[:1] for kind in named}
    return codes | {kind: bytes((code,)) for kind, code in path.ELEMENTS.items()}


def _may_be_unknown(beginning: str) -> bool:
    """Whether it may begin ``kind64``, which is how a kind that a newer build wrote is spelt here."""
    return "kind".startswith(beginning[:4])


def _named(kind: str, name: str) -> list[bytes]:
    code = _all_codes().get(kind)
    if code is None:
        code = bytes((int(kind.removeprefix("kind")),))  # `kind64`, or a ValueError
    if kind in path.ELEMENTS and kind not in ("str", "bytes"):
        return [code]
    return [code + _beginning(name)]


def _beginning(name: str) -> bytes:
    """The encoded beginning of a name from its percent-encoded one, the last escape of which may be cut off."""
    cut = name.rfind("%", max(0, len(name) - 2))
    raw = unquote_to_bytes(name if cut < 0 else name[:cut])
    return path.component("bytes", raw)[1:-1]
