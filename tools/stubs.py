"""Write ``typings/``: one line a module, which tells type checkers where the packages of `gossamer` really lie.

The folders at the top are installed under one name, and a type checker that reads the checkout does not know
that. Run it by ``make stubs`` after adding a module; a test says when that was forgotten.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"node": "", "crdt": "crdt", "proto": "proto"}


def stubs() -> dict[Path, str]:
    """Path under ``typings`` -> content, for every module."""
    found: dict[Path, str] = {}
    for folder, name in PACKAGES.items():
        for source in sorted((ROOT / folder).rglob("*.py")):
            inner = source.relative_to(ROOT / folder).with_suffix("")
            module = ".".join((folder, *(inner.parent if inner.name == "__init__" else inner).parts))
            if inner.name != "__main__":
                where = Path("gossamer", name, inner).with_suffix(".pyi")
                found[where] = f"from {module} import *\n"
    return found


def main() -> None:
    typings = ROOT / "typings"
    wanted = stubs()
    for old in typings.rglob("*.pyi"):
        if old.relative_to(typings) not in wanted:
            old.unlink()
    for where, content in wanted.items():
        (typings / where).parent.mkdir(parents=True, exist_ok=True)
        (typings / where).write_text(content)
    print(f"{len(wanted)} stubs", file=sys.stderr)


if __name__ == "__main__":
    main()
