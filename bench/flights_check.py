"""What differs between the figures that a node holds and those that the file gives, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DIFFERENCES_MAX = 5
"""Named of one figure; the rest is a number."""


def differences(where: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[str]:
    """One line for each name whose value differs, the first few of them."""
    wrong = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
    for name in wrong[:DIFFERENCES_MAX]:
        inner, wanted = found.get(name), expected.get(name)
        if isinstance(inner, dict) and isinstance(wanted, dict):
            yield from differences(f"{where}/{name}", inner, wanted)
        elif isinstance(inner, frozenset) and isinstance(wanted, frozenset):
            yield f"{where}/{name}: too many {sorted(inner - wanted)}, missing {sorted(wanted - inner)}"
        else:
            yield f"{where}/{name}: {inner!r} instead of {wanted!r}"
    if len(wrong) > DIFFERENCES_MAX:
        yield f"{where}: and {len(wrong) - DIFFERENCES_MAX} more"


def impossible(where: str, found: Mapping[str, str], possible: Mapping[str, set[str]]) -> Iterator[str]:
    """One line for each name whose value is not one of the possible ones."""
    wrong = [name for name in sorted({*found, *possible}) if found.get(name) not in possible.get(name, ())]
    for name in wrong[:DIFFERENCES_MAX]:
        yield f"{where}/{name}: {found.get(name)!r} is not one of {sorted(possible.get(name, ()))}"
    if len(wrong) > DIFFERENCES_MAX:
        yield f"{where}: and {len(wrong) - DIFFERENCES_MAX} more"
