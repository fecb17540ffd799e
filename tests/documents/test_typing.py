"""Do type checkers find what is wrong with the use of a document, and nothing else?"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "tests/documents/typing_sample.py"


def mypy(file: str) -> list[str]:
    """What ``mypy --strict`` says, as the project is configured."""
    run = subprocess.run(  # its exit code is that there were errors
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", file],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    return [
        line.removeprefix(f"{file}:")
        for line in run.stdout.splitlines()
        if line.startswith(f"{file}:") and "error" in line
    ]


def test_mypy_finds_what_the_sample_says_and_nothing_else() -> None:
    assert mypy(SAMPLE) == []


def test_without_the_marks_each_mistake_is_an_error(tmp_path: Path) -> None:
    lines = (ROOT / SAMPLE).read_text().splitlines()
    marked = [
        number for number, line in enumerate(lines, 1) if "# type: ignore" in line and "stands on" not in line
    ]
    bare = tmp_path / "bare.py"
    bare.write_text("\n".join(line.split("  # type: ignore")[0] for line in lines) + "\n")
    found = {int(line.removeprefix(f"{bare}:").split(":")[0]) for line in mypy(str(bare))}
    assert found == set(marked)
    assert len(marked) > 10
