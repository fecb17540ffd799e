"""The Data service's messages, made and checked: paths, operations and cells as they travel.

What may come in? Nothing is trusted: each function that reads raises `TypeError` or `ValueError` for what it
will not have, before anything is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import msgspec

from gossamer.crdt import Cell, Dot, MalformedError, check_cell, codec, path, vector
from gossamer.proto import data_pb2

from ..backend import CANCEL, NO_DOT, RANGES, Op, make_op
from ..beaten import Record
from ..limits import READ_PATHS_MAX, SPEND_WAIT_S_MAX, TRANSACTION_OPS_MAX
from ..replication.replicated import Peers
from ..turns import Attempt
from ..waiting import Covered, Fresh, Replicated, Wait

ATTEMPT_BYTES = 16
_BIG_INT = 1  # msgpack extension type of an int beyond 64 bits
_CELL = msgspec.msgpack.Decoder()
_ENCODER = msgspec.msgpack.Encoder()


def _ext(code: int, data: memoryview) -> int:
    if code != _BIG_INT:
        raise ValueError(f"args: extension type {code} is unknown")
    return int.from_bytes(data, "big", signed=True)


_RECORD = msgspec.msgpack.Decoder(Record)
_ARGS = msgspec.msgpack.Decoder(ext_hook=_ext)


def _portable(arg: Any) -> Any:
    if type(arg) is int and not -(2**63) <= arg < 2**64:
        return msgspec.msgpack.Ext(_BIG_INT, arg.to_bytes(arg.bit_length() // 8 + 1, "big", signed=True))
    return arg


def pack_args(args: Iterable[Any]) -> bytes:
    """A method's arguments, as the caller gave them, which `make_op` has checked."""
    return _ENCODER.encode([_portable(arg) for arg in args])


def unpack_args(data: bytes) -> list[Any]:
    """The arguments that a message carries; the method judges them."""
    try:
        args = _ARGS.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"args: not msgpack ({error})") from None
    if not isinstance(args, list):
        raise TypeError("args: not a list")
    return args


def pack_ops(ops: Iterable[Op]) -> list[data_pb2.Op]:
    """Operations for a message."""
    return [data_pb2.Op(path=op.path, method=op.method, args=pack_args(op.raw)) for op in ops]


def unpack_ops(ops: Sequence[data_pb2.Op]) -> list[Op]:
    """Operations from a message, checked as those of a local caller are."""
    if len(ops) > TRANSACTION_OPS_MAX:
        raise ValueError(f"ops: {len(ops)} of them, at most {TRANSACTION_OPS_MAX} are possible")
    return [make_op(_target(op), op.method, unpack_args(op.args)) for op in ops]


def _target(op: data_pb2.Op) -> bytes:
    kind, name = path.decode(op.path)[-1]
    if kind in ("set", "set_rw") and op.method not in (*RANGES, CANCEL):
        raise ValueError(f"path: {op.method} wants an element of the {kind} {name!r}")
    return op.path


def unpack_attempt(attempt: data_pb2.Attempt) -> Attempt:
    """The attempt of a Write."""
    if len(attempt.id) != ATTEMPT_BYTES:
        raise ValueError(f"attempt: an id of {len(attempt.id)} bytes, {ATTEMPT_BYTES} are wanted")
    return Attempt(attempt.node, attempt.id)


def checked_path(data: bytes) -> bytes:
    """A path from a message."""
    path.decode(data)
    return data


def checked_paths(paths: Sequence[bytes]) -> list[bytes]:
    """The paths of a Read."""
    if len(paths) > READ_PATHS_MAX:
        raise ValueError(f"paths: {len(paths)} of them, at most {READ_PATHS_MAX} are possible")
    return [checked_path(data) for data in paths]


def checked_prefix(prefix: bytes) -> bytes:
    """The prefix of a Scan: any bytes, if a path can begin with so many."""
    if len(prefix) > path.PATH_BYTES_MAX:
        raise ValueError(f"prefix: {len(prefix)} bytes, at most {path.PATH_BYTES_MAX} are possible")
    return prefix


def unpack_cell(cell_path: bytes, data: bytes) -> Cell:
    """A cell from a node's answer. `MalformedError` if it is none."""
    try:
        shaped = _CELL.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedError(f"cell: {error}") from None
    cell = codec.of_shape(shaped, codec.by_eight_bytes)
    check_cell(cell_path, cell)
    return cell


def checked_wait(wait: float) -> float:
    """The seconds of a Write."""
    if not 0 <= wait <= SPEND_WAIT_S_MAX:
        raise ValueError(f"wait: {wait} is not from 0 to {SPEND_WAIT_S_MAX:g} s")
    return wait


def unpack_estate(reply: data_pb2.EstateReply) -> tuple[bytes, ...]:
    """The replica ids of an Estate. `MalformedError` if they are none."""
    if not reply.replicas or any(len(replica) != vector.REPLICA_BYTES for replica in reply.replicas):
        raise MalformedError("estate: not a list of replica ids")
    return tuple(reply.replicas)


def pack_note(number: int, record: Record) -> data_pb2.Conflict:
    """A note of a beaten value."""
    return data_pb2.Conflict(number=number, record=_ENCODER.encode(record))


def unpack_note(message: data_pb2.Conflict) -> tuple[int, Record]:
    """A note of a beaten value, from a node. `MalformedError` for what is none."""
    try:
        return message.number, _RECORD.decode(message.record)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise MalformedError(f"conflict: {error}") from None


def unpack_verb(verb: str) -> Literal["reinstate", "dismiss"]:
    """What is to become of a beaten value."""
    if verb == "reinstate":
        return "reinstate"
    if verb == "dismiss":
        return "dismiss"
    raise ValueError(f"verb: {verb!r} is not reinstate or dismiss")


def pack_dot(dot: Dot | None) -> data_pb2.WriteReply:
    """The answer to a Write."""
    if dot is None:
        return data_pb2.WriteReply()
    return data_pb2.WriteReply(dot=data_pb2.Dot(replica=dot[0], seq=dot[1]))


def unpack_dot(reply: data_pb2.WriteReply) -> Dot | None:
    """The dot of a Write."""
    return (reply.dot.replica, reply.dot.seq) if reply.HasField("dot") else None


def checked_dot(request: data_pb2.TokenRequest) -> Dot | None:
    """The event that a token is wanted of; None: of all of them."""
    if not request.HasField("dot"):
        return None
    dot = request.dot.replica, request.dot.seq
    if dot != NO_DOT and (len(dot[0]) != vector.REPLICA_BYTES or not 1 <= dot[1] <= vector.SEQ_MAX):
        raise ValueError("dot: eight bytes and a number from 1 up are wanted")
    return dot


def pack_wait(keyspace: str, wait: Wait, timeout: float) -> data_pb2.WaitRequest:
    """A wait for a message."""
    request = data_pb2.WaitRequest(keyspace=keyspace, timeout_s=timeout)
    match wait:
        case Covered():
            request.covered.token = wait.token
        case Replicated():
            request.replicated.token = wait.token
            if isinstance(wait.peers, int):
                request.replicated.peers = wait.peers
            else:
                request.replicated.share = wait.peers
        case Fresh():
            request.fresh.max_staleness_s = wait.max_staleness
    return request


def unpack_wait(request: data_pb2.WaitRequest) -> Wait:
    """The wait of a message; the node judges it."""
    match request.WhichOneof("wait"):
        case "covered":
            return Covered(request.covered.token)
        case "replicated":
            found = request.replicated
            return Replicated(found.token, cast(Peers, found.share or found.peers))
        case "fresh":
            return Fresh(request.fresh.max_staleness_s)
    raise ValueError("wait: nothing to wait for that is known here")


def pack_explanation(explanation: dict[str, Any]) -> data_pb2.ExplainReply:
    """The answer to an Explain. An int may be of any size, which the faster encoder does not take."""
    return data_pb2.ExplainReply(json=json.dumps(explanation, ensure_ascii=False).encode())


def unpack_explanation(reply: data_pb2.ExplainReply) -> dict[str, Any]:
    """The explanation of an answer."""
    found: dict[str, Any] = json.loads(reply.json)
    return found
