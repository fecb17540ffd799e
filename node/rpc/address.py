"""The settings of connections, those made and those accepted.

Which settings differ from gRPC's own, and why? Each line says so.
"""

from __future__ import annotations

import ipaddress
import resource

from ..limits import (
    CLIENT_IDLE_S,
    CONNECTIONS_MAX,
    ENVELOPE_BYTES,
    HANDSHAKE_S,
    IDLE_S,
    MESSAGE_BYTES_MAX,
    REPLY_BYTES_MAX,
    STREAMS_MAX,
)

Options = list[tuple[str, int]]

RECEIVE_BYTES_MAX = MESSAGE_BYTES_MAX + ENVELOPE_BYTES

_KEEPALIVE: Options = [
    # Links have a heartbeat of their own; this is for clients, who would wait for minutes otherwise.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.ping_timeout_ms", 3_000),
]

_SERVER: Options = [
    *_KEEPALIVE,
    ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_S * 1000)),  # by default two minutes
    ("grpc.max_connection_idle_ms", int(IDLE_S * 1000)),  # by default never
    ("grpc.so_reuseport", 0),  # by default a second process binds the same port, silently
    ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),  # counted after decompression
    ("grpc.max_send_message_length", REPLY_BYTES_MAX),
    ("grpc.max_concurrent_streams", STREAMS_MAX),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),  # by default idle pings are punished
]

_DIALED: Options = [
    *_KEEPALIVE,
    ("grpc.use_local_subchannel_pool", 1),  # each channel its own connection, and its own backoff
    ("grpc.enable_retries", 0),  # what is sent again is for the caller to decide
]

LINK: Options = [
    *_DIALED,
    ("grpc.max_receive_message_length", RECEIVE_BYTES_MAX),
    ("grpc.max_send_message_length", RECEIVE_BYTES_MAX),
]

CLIENT: Options = [
    *_DIALED,
    ("grpc.max_receive_message_length", REPLY_BYTES_MAX),
    ("grpc.max_send_message_length", RECEIVE_BYTES_MAX),
    ("grpc.client_idle_timeout_ms", int(CLIENT_IDLE_S * 1000)),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    (
        "grpc.max_reconnect_backoff_ms",
        2_000,
    ),  # by default a node that was away stays unreachable for two minutes
]


def server_options() -> Options:
    """Those of a server in this process: it must not take the last files that the store needs."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = CONNECTIONS_MAX if files == resource.RLIM_INFINITY else min(CONNECTIONS_MAX, files // 2)
    return [*_SERVER, ("grpc.max_allowed_incoming_connections", connections)]


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach it."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
