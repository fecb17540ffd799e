"""Do type checkers find what is wrong with the use of a document, and nothing else?"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests/documents/typing_sample.py"


def mypy(file: Path) -> dict[int, str]:
    """Line -> what ``mypy --strict`` says of it, as the project is configured."""
    run = subprocess.run(  # its exit code is that there were errors
        [sys.executable, "-m", "mypy", "--strict", str(file)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "checked 1 source file" in run.stdout or "no issues found in 1" in run.stdout, (
        run.stdout + run.stderr
    )
    found = re.findall(rf"\b{re.escape(file.name)}:(\d+): error: (.*)$", run.stdout, re.MULTILINE)
    return {int(line): said for line, said in found}


def test_mypy_finds_what_the_sample_says_and_nothing_else() -> None:
    assert mypy(SAMPLE) == {}


def test_without_the_marks_each_mistake_is_an_error(tmp_path: Path) -> None:
    lines = SAMPLE.read_text().splitlines()
    marked = [
        number for number, line in enumerate(lines, 1) if "# type: ignore" in line and "stands on" not in line
    ]
    bare = tmp_path / "bare.py"
    bare.write_text("\n".join(line.split("  # type: ignore")[0] for line in lines) + "\n")
    assert mypy(bare).keys() == set(marked)
    assert len(marked) > 10
