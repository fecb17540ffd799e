"""A client that asks and takes no answer: calls as frames of HTTP/2 on a bare socket. gRPC's own client always takes its answers.

It gives no more window than there is in the beginning, 64 KiB, and says to each ping that it is there: one that does not is soon cut off.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING = 0, 1, 4, 6
ACK = END_STREAM = 1
END_HEADERS = 4


def connection(address: str) -> socket.socket:
    """One that has begun as HTTP/2. Close it by `close`."""
    host, _, port = address.rpartition(":")
    opened = socket.create_connection((host, int(port)))
    opened.sendall(PREFACE + _frame(SETTINGS, 0, 0, b""))
    threading.Thread(target=_stay, args=(opened,), daemon=True).start()
    return opened


def close(on: socket.socket) -> None:
    """End a connection, and the thread that keeps it up."""
    with suppress(OSError):
        on.shutdown(socket.SHUT_RDWR)
    on.close()


def _stay(on: socket.socket) -> None:
    """Answer pings, until the end."""
    with suppress(OSError), on.makefile("rb") as frames:
        while len(head := frames.read(9)) == 9:
            payload = frames.read(int.from_bytes(head[:3], "big"))
            if head[3] == PING and not head[4] & ACK:
                on.sendall(_frame(PING, ACK, 0, payload))


def ask(on: socket.socket, method: str, request: bytes, number: int) -> None:
    """Make the call ``number``, from 0 on, of a connection."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": method,
        ":authority": "deaf",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    stream = 2 * number + 1
    headers = b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())
    message = b"\x00" + struct.pack(">I", len(request)) + request
    on.sendall(_frame(HEADERS, END_HEADERS, stream, headers) + _frame(DATA, END_STREAM, stream, message))


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text: str) -> bytes:
    """Of HPACK: shorter than 127 bytes, not compressed."""
    return bytes([len(text)]) + text.encode()
