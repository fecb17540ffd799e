"""The log of ``serve`` on standard error: one line an event, for people or, as JSON, for programs.

A line has a time (UTC), a level, an event, and the event's fields. What the library logs in words is the event
``log`` with its ``message``.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("gossamer.serve")


def setup(level: str, as_json: bool) -> None:
    """Send all logging of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Plain())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("gossamer").setLevel(level.upper())


def event(name: str, /, **fields: Any) -> None:
    """Log an event of the node's life."""
    log.info(name, extra={"event": name, "fields": fields})


def parts(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """The event of a record, and its fields."""
    name = getattr(record, "event", None)
    if name is None:
        return "log", {"message": record.getMessage()}
    return str(name), dict(getattr(record, "fields", {}))


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class JsonLines(logging.Formatter):
    """``{"time": …, "level": …, "event": …, …}``"""

    def format(self, record: logging.LogRecord) -> str:
        name, fields = parts(record)
        head = {"time": _time(record), "level": record.levelname.lower(), "event": name}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(head | fields, ensure_ascii=False, default=str)


class Plain(logging.Formatter):
    """``time level event key=value …``"""

    def format(self, record: logging.LogRecord) -> str:
        name, fields = parts(record)
        said = fields["message"] if name == "log" else " ".join([name, *_pairs(fields)])
        line = f"{_time(record)} {record.levelname.lower():7} {' '.join(said.splitlines())}"
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


def _pairs(fields: dict[str, Any]) -> list[str]:
    return [f"{key}={_quoted(value)}" for key, value in fields.items()]


def _quoted(value: Any) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(char in text for char in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)
