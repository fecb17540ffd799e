"""The page on reliability names tests that there are, and has a row for each fault and each kind of bad input."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text()


def test_each_test_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.(?:py|md))`", PAGE))
    assert len(named) > 40
    assert not [name for name in named if not (ROOT / name).exists()]


def test_each_fault_and_each_bad_input_has_a_row_with_a_test() -> None:
    rows = {row.split("|")[1].strip(): row for row in PAGE.splitlines() if row.startswith("|")}
    for name in (*(f"F{n}" for n in range(1, 23)), *(f"B{n}" for n in range(1, 18))):
        assert "tests/" in rows[name], f"{name} has no test"
