"""Does the installed package hold what the folders hold?"""

import tomllib
from pathlib import Path

import gossamer
import gossamer.crdt
import gossamer.proto

ROOT = Path(__file__).parent.parent
FOLDERS = {"node": "gossamer", "crdt": "gossamer.crdt", "proto": "gossamer.proto"}


def packages() -> dict[str, Path]:
    """Each package's import name and the folder that holds it."""
    found = {}
    for top, name in FOLDERS.items():
        for folder in {file.parent for file in (ROOT / top).rglob("*.py")}:
            found[".".join([name, *folder.relative_to(ROOT / top).parts])] = folder
    return found


def test_pyproject_lists_every_folder_that_holds_python() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["tool"]["setuptools"]["packages"] == sorted(packages())


def test_every_package_is_marked_as_typed() -> None:
    assert [p for p, f in packages().items() if not (f / "py.typed").exists()] == []


def test_every_package_has_a_stub_for_the_type_checker() -> None:
    for name in packages():
        stub = ROOT / "typings" / Path(*name.split("."))
        assert stub.with_suffix(".pyi").exists() or (stub / "__init__.pyi").exists(), name


def test_each_import_name_leads_to_its_folder() -> None:
    assert gossamer.__file__ == str(ROOT / "node" / "__init__.py")
    assert gossamer.crdt.__file__ == str(ROOT / "crdt" / "__init__.py")
    assert gossamer.proto.__file__ == str(ROOT / "proto" / "__init__.py")
