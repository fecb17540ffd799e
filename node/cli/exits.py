"""How the command ends: an exit code, and on failure one sentence on standard error.

======  =====================================================================
code    meaning
======  =====================================================================
0       done
1       failed; the sentence says why
2       wrong usage, or a wrong value
3       not found
4       the node could not be reached, or did not say whether it wrote
5       damaged: a cell's checksum is wrong, or two values stand under one dot
======  =====================================================================
"""

from __future__ import annotations

from typing import Any, NoReturn

import click

from ..errors import Damaged, GossamerError, OutcomeUnknown, Quarantined, Unreachable

FAILED, USAGE, NOT_FOUND, UNREACHABLE, DAMAGED = 1, 2, 3, 4, 5

_CODES: list[tuple[type[GossamerError], int]] = [
    (Unreachable, UNREACHABLE),
    (OutcomeUnknown, UNREACHABLE),
    (Damaged, DAMAGED),
    (Quarantined, DAMAGED),
]


class Failure(click.ClickException):
    """A failure as the shell sees it."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(_one_line(sentence))
        self.exit_code = code  # type: ignore[misc]  # click reads it off the instance


class Commands(click.Group):
    """A group whose commands end in a sentence where Python would show a traceback.

    Only errors with a meaning do: Gossamer's own, and the operating system's.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except GossamerError as error:
            raise Failure(str(error), code_of(error)) from None
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # the reader of our output has left; click ends quietly
                raise
            raise Failure(sentence_of(error)) from None


def code_of(error: GossamerError) -> int:
    """The exit code of one of Gossamer's errors."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


def sentence_of(error: OSError) -> str:
    """What the operating system said, with the file that it is about."""
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what


def not_found(what: str) -> NoReturn:
    """End the command: there is no such thing."""
    raise Failure(f"{what}: not found", NOT_FOUND)


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "failed"
