"""Errors on their way between a node and a client: the class that the node raised is what the client raises.

Which status says what? The code is for tools that know nothing of Gossamer; our own client goes by the class
name in the trailing metadata. A class that the other build does not have comes as its nearest ancestor that
both have. Without a name it was the transport that ended the call.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

import grpc

from .. import errors

log = logging.getLogger("gossamer")

Context = grpc.aio.ServicerContext[Any, Any]

NAME_KEY = "gossamer-error"
AVAILABLE_KEY = "gossamer-available"
"""What an `InsufficientRights` carries beside its words."""

_CODES: list[tuple[type[Exception], grpc.StatusCode]] = [
    (errors.Damaged, grpc.StatusCode.DATA_LOSS),
    (errors.StoreFull, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.Closed, grpc.StatusCode.UNAVAILABLE),
    (errors.NotReady, grpc.StatusCode.UNAVAILABLE),
    (errors.DocumentError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.WaitTimeout, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.StateError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.GossamerError, grpc.StatusCode.INTERNAL),
    (TypeError, grpc.StatusCode.INVALID_ARGUMENT),
    (ValueError, grpc.StatusCode.INVALID_ARGUMENT),
]
_CLASSES: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.GossamerError)
} | {"TypeError": TypeError, "ValueError": ValueError}

_NEVER_SENT = ("failed to connect to all addresses", "DNS resolution failed", "empty address list")
"""How gRPC says that a call was never given to a connection, so that nothing of it left this process. (Calls do
not wait for a connection and are not retried.) Should the words change, the answer is the cautious one."""
_ENDED_BY_TRANSPORT = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
}


class answering:
    """Ends the call with an error that is raised inside, so that `raised` makes the same of it at the client."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            await _abort(self._context, error)


async def _abort(context: Context, error: Exception) -> NoReturn:
    for kind, code in _CODES:
        if isinstance(error, kind):
            name = next(c.__name__ for c in type(error).__mro__ if c.__name__ in _CLASSES)
            available = getattr(error, "available", None)
            more = () if available is None else ((AVAILABLE_KEY, str(available)),)
            await context.abort(code, str(error), ((NAME_KEY, name), *more))
    log.exception("a call failed", exc_info=error)
    await context.abort(
        grpc.StatusCode.INTERNAL, "the node failed; its log says how", ((NAME_KEY, "Refused"),)
    )
    raise AssertionError("abort returned")


def raised(error: grpc.RpcError, is_write: bool) -> Exception:
    """What a client raises for a call that failed."""
    code, details = error.code(), error.details() or ""
    pairs: Any = error.trailing_metadata() or ()  # named tuples or plain ones, depending on the kind of call
    told = {key: str(value) for key, value in pairs}
    if NAME_KEY in told:
        found = _CLASSES.get(told[NAME_KEY], errors.Refused)(details)
        if isinstance(found, errors.InsufficientRights) and told.get(AVAILABLE_KEY, "").isdecimal():
            found.available = int(told[AVAILABLE_KEY])
        return found
    words = f"{code.name}: {details}"
    if code not in _ENDED_BY_TRANSPORT:
        return errors.Refused(words)
    if code is grpc.StatusCode.UNAVAILABLE and any(said in details for said in _NEVER_SENT):
        return errors.Unreachable(words)
    return errors.OutcomeUnknown(words) if is_write else errors.Unreachable(words)
