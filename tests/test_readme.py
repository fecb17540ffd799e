"""The documents: every Python block runs and prints what is shown below it, and every link leads somewhere.

The blocks of one document run in order in one namespace, in an empty directory. A ``text`` block right after a
Python block is what that block prints, exactly; a Python block without one prints nothing that matters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(?:#([^)\s]+))?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Example(NamedTuple):
    """A Python block, and what it is said to print."""

    line: int
    code: str
    shown: str | None


def examples(text: str) -> Iterator[Example]:
    """The Python blocks of a document in order."""
    blocks = list(BLOCK.finditer(text))
    for block, after in zip_longest(blocks, blocks[1:]):
        if block[1] != "python":
            continue
        is_output = after is not None and after[1] == "text" and not text[block.end() : after.start()].strip()
        shown = after[2] if after is not None and is_output else None
        yield Example(text.count("\n", 0, block.start(2)), block[2], shown)


def anchors(text: str) -> set[str]:
    """The headings as links name them."""
    prose = BLOCK.sub("", text)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(prose)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_python_blocks_print_what_is_shown(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in examples(document.read_text()):
        padded = "\n" * example.line + example.code  # so that a traceback names the document's line
        exec(compile(padded, document, "exec", dont_inherit=True), namespace)  # noqa: S102  # our own documents
        printed = capsys.readouterr().out
        if example.shown is not None:
            assert printed == example.shown, f"{document.name}:{example.line + 1} prints something else"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target, anchor in LINK.findall(BLOCK.sub("", document.read_text())):
        if target.startswith(("http:", "https:")):
            continue
        there = document.parent / target if target else document
        assert there.exists(), f"{document.name}: {target} is not there"
        if anchor:
            assert anchor in anchors(there.read_text()), f"{document.name}: {target} has no heading #{anchor}"


def test_the_readme_has_an_example_with_output() -> None:
    found = list(examples((ROOT / "README.md").read_text()))
    assert any(example.shown for example in found)
