"""A newer build of this package, as processes run it: a copy of the source with a kind of cells that this build has never heard of.

Its greeting has a field more too, as a later minor version's may.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import gossamer
import gossamer.crdt
import gossamer.proto

LONGEST = '''
"""The longest string wins; of two equally long ones the greater."""

from . import cell, values
from .celltype import CellType, remove
from .errors import MalformedError
from .types import register_type


class Longest(CellType):
    kind = "longest"

    def methods(self):
        return {"set": lambda state, event, args: cell.assign(state, event, args[0]), "remove": remove}

    def prepare(self, method, args):
        return (values.encode(*args),) if method == "set" else super().prepare(method, args)

    def value(self, state):
        return max((values.read(e.payload) for e in state.live), key=lambda text: (len(text), text), default=None)

    def check(self, payload):
        if type(values.decode(payload)) is not str:
            raise MalformedError("longest: a payload is not a str")


register_type(Longest(), 0x42)
'''
HELLO_ENDS = '    """The name of my base: what I know of ids that are over for good."""\n'
WRITE = """
import sys, gossamer
from gossamer.backend import make_op
from gossamer.crdt import path
with gossamer.connect(sys.argv[1]) as client:
    client.backend.write("default", [make_op(path.of_text(sys.argv[2]), "set", (sys.argv[3],))])
"""
READ = """
import sys, gossamer
from gossamer.crdt import path, type_at
at = path.of_text(sys.argv[2])
with gossamer.connect(sys.argv[1]) as client:
    print(type_at(at).value(client.backend.cell("default", at)))
"""


class Newer:
    """Made in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        copy, without = folder / "gossamer", shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(gossamer.__file__).parent, copy, ignore=without)
        for package in (gossamer.crdt, gossamer.proto):
            place = Path(str(package.__file__)).parent
            shutil.copytree(place, copy / place.name, ignore=without, dirs_exist_ok=True)
        (copy / "crdt" / "longest.py").write_text(LONGEST)
        _append(copy / "crdt" / "__init__.py", "from . import longest\n")
        messages = copy / "replication" / "messages.py"
        source = messages.read_text()
        assert source.count(HELLO_ENDS) == 1, "the greeting has changed: say here where its fields end"
        messages.write_text(source.replace(HELLO_ENDS, HELLO_ENDS + "    minor: int = 2\n"))

    @property
    def under(self) -> list[str]:
        """A command under which Python runs this build."""
        return ["env", f"PYTHONPATH={self._folder}"]

    def write(self, address: str, cell_path: str, value: str) -> None:
        """Set a cell, by a client of this build."""
        self._run(WRITE, address, cell_path, value)

    def read(self, address: str, cell_path: str) -> str:
        """What a client of this build reads."""
        return self._run(READ, address, cell_path).strip()

    def _run(self, program: str, *arguments: str) -> str:
        command = [*self.under, sys.executable, "-P", "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _append(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)
