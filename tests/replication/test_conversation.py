"""Do two nodes still say to each other what conversation.txt has them say?"""

from __future__ import annotations

from .conversation import FILE, conversation


def test_the_conversation_is_the_one_on_file() -> None:
    assert conversation() == FILE.read_text(), "if it is meant: python -m tests.replication.conversation"
