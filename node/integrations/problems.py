"""Gossamer's errors as answers over HTTP: a status, and a body of ``application/problem+json`` (RFC 9457).

Whose mistake is it? The caller's, if it can be put right by another request (4xx); the moment's, if the same request
may do later or elsewhere (503, with ``Retry-After``); else the service's own (500), whose details stay in its log.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..errors import GossamerError, InsufficientRights

log = logging.getLogger("gossamer.http")

RETRY_AFTER_S = 1.0
"""What ``Retry-After`` says unless told otherwise: links are dialed again within a few seconds."""
CONTENT_TYPE = "application/problem+json"


class Answer(NamedTuple):
    """How an error is answered."""

    status: int
    title: str
    retry: bool = False
    """Whether the same request may do later: it goes out with ``Retry-After``."""
    tells: bool = True
    """Whether the error's own words go out; those of the service's failures do not."""


ANSWERS: dict[type[GossamerError], Answer] = {
    errors.InvalidValue: Answer(422, "A value that its field does not take"),
    errors.LimitExceeded: Answer(413, "More than one transaction may hold"),
    errors.VersionMismatch: Answer(409, "It was changed since it was read"),
    errors.InsufficientRights: Answer(409, "Not that many are left here"),
    errors.SubscriptionInUse: Answer(409, "Somebody else follows under this name"),
    errors.OnlyCopy: Answer(409, "Nobody else has all of it"),
    errors.OperationExpired: Answer(409, "The operation is too old to be tried again"),
    errors.CursorExpired: Answer(410, "The changes do not reach back that far"),
    errors.WaitTimeout: Answer(503, "Not here yet", retry=True),
    errors.TooStale: Answer(503, "What is here may be too old", retry=True),
    errors.NotReady: Answer(503, "The data is being fetched for the first time", retry=True),
    errors.ReadOnly: Answer(503, "This instance only reads", retry=True),
    errors.Leaving: Answer(503, "This instance stops for good", retry=True),
    errors.Closed: Answer(503, "The service is stopping", retry=True),
    errors.Unreachable: Answer(503, "The data cannot be reached", retry=True, tells=False),
    errors.OutcomeUnknown: Answer(504, "Whether it was done is not known", tells=False),
    errors.StoreFull: Answer(507, "There is no space left", tells=False),
    errors.GossamerError: Answer(500, "The data cannot be used", tells=False),
}
"""The nearest class counts, so that every error has an answer."""


def answer_to(error: GossamerError) -> Answer:
    """How an error is answered: by its own class, or the nearest above it."""
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)


def problem(
    status: int,
    title: str,
    *,
    kind: str = "about:blank",
    detail: str | None = None,
    retry_after_s: float | None = None,
    members: Mapping[str, Any] | None = None,
) -> Response:
    """A response of ``application/problem+json``."""
    body = {"type": kind, "title": title, "status": status}
    body |= {"detail": detail} if detail else {}
    headers = {"Retry-After": str(math.ceil(retry_after_s))} if retry_after_s is not None else None
    text = json.dumps(body | dict(members or {}), ensure_ascii=False)
    return Response(text, status, headers, CONTENT_TYPE)


def problem_of(error: GossamerError, retry_after_s: float = RETRY_AFTER_S) -> Response:
    """The response that an error becomes."""
    answer = answer_to(error)
    return problem(
        answer.status,
        answer.title,
        kind=f"urn:gossamer:error:{type(error).__name__}",
        detail=str(error) if answer.tells else None,
        retry_after_s=retry_after_s if answer.retry else None,
        members={"available": error.available} if isinstance(error, InsufficientRights) else None,
    )


def add_exception_handlers(app: Any, retry_after_s: float = RETRY_AFTER_S) -> None:
    """Have an application answer Gossamer's errors that its handlers let through. Its own handlers stay."""

    def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, GossamerError)
        if answer_to(error).status == 500:
            log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem_of(error, retry_after_s)

    app.add_exception_handler(GossamerError, answer)


__all__ = ["ANSWERS", "Answer", "add_exception_handlers", "answer_to", "problem", "problem_of"]
