"""The node's side of a remote watch: requests checked, and pages of a feed as messages.

What does a slow client cost? One page: the next is read when the connection has taken the one before, and flow
control passes the client's pace on to here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from gossamer.crdt import codec, path
from gossamer.proto import data_pb2 as pb

from ..errors import Closed, LimitExceeded
from ..feed import Feeds, Wanted, wanted
from ..feed.change import Source
from ..feed.feeds import check_name
from ..limits import REPLY_BYTES_MAX
from ..store.feed import Place
from ..store.feedpage import Item
from ..turns import Acknowledge

_OWNER_BYTES_MAX = 64


async def serve(feeds: Feeds, request: pb.WatchRequest) -> AsyncGenerator[pb.WatchPage, None]:
    """The pages of a Watch."""
    name = check_name(request.subscription) if request.subscription else None
    stream = feeds.stream(request.keyspace, _wanted(request), name, _owner(request))
    try:
        await stream.begin()
        if request.anew:
            await stream.begin_again()
        yield pack_page(stream.tray.take(), stream.tray.place, stream.source)
        while await stream.more():
            yield pack_page(stream.tray.take(), stream.tray.place, stream.source)
    finally:
        await stream.close()
    if feeds.core.hub.is_closed:
        raise Closed("the node is closing")


def _wanted(request: pb.WatchRequest) -> Wanted:
    if request.inside:
        path.decode(request.inside)
    return wanted.of(
        request.prefix,
        request.since or None,
        inside=request.inside,
        snapshot=request.snapshot,
        timeout=request.idle_s if request.HasField("idle_s") else None,
    )


def _owner(request: pb.WatchRequest) -> bytes:
    if len(request.consumer) > _OWNER_BYTES_MAX:
        raise ValueError(f"consumer: {len(request.consumer)} bytes, at most {_OWNER_BYTES_MAX} are possible")
    return request.consumer


async def acknowledge(feeds: Feeds, request: pb.AcknowledgeRequest) -> None:
    """What an Acknowledge asks for."""
    if request.HasField("place"):
        await feeds.aperform(_acknowledgement(request))
    if request.leaving:
        feeds.core.hub.let_go(request.keyspace, request.subscription, request.leaving)


def _acknowledgement(request: pb.AcknowledgeRequest) -> Acknowledge:
    place = unpack_place(request.place)
    if place.position < 0:
        raise ValueError("place: nothing was read yet")
    if len(place.reached or b"") > path.PATH_BYTES_MAX:
        raise ValueError("place: what was reached is longer than any path")
    return Acknowledge(request.keyspace, check_name(request.subscription), place)


def pack_place(place: Place) -> pb.Place:
    """A place as a message."""
    return pb.Place(position=place.position, reached=place.reached)


def unpack_place(place: pb.Place) -> Place:
    """A place from a message."""
    return Place(place.position, place.reached if place.HasField("reached") else None)


def pack_page(items: list[Item], read: Place, source: Source) -> pb.WatchPage:
    """A page as a message. `LimitExceeded` if it holds more than one message may."""
    size = sum(item.size for item in items)
    if size > REPLY_BYTES_MAX - 256 * len(items) - 1024:
        raise LimitExceeded(
            f"{path.to_text(items[-1].path)}: its change is {size} bytes, too many for one answer"
        )
    return pb.WatchPage(
        changes=[_pack(item) for item in items],
        read=pack_place(read),
        replica=source.replica,
        members=[pb.Member(replica=r, name=source.names[r]) for r in _writers(items) if r in source.names],
    )


def _pack(item: Item) -> pb.Change:
    return pb.Change(
        path=item.path,
        old=item.old,
        new=item.new,
        visible_at_us=item.wall,
        after=pack_place(item.after),
        damage=item.damage or "",
        dots=[pb.Dot(replica=replica, seq=seq) for replica, seq in item.dots],
    )


def _writers(items: list[Item]) -> set[bytes]:
    cells = [codec.decode(item.new) for item in items if item.new]
    named = {replica for cell in cells for replica, _ in cell.dots()}
    return named | {replica for item in items for replica, _ in item.dots}


def unpack_item(change: pb.Change) -> Item:
    """A change from a message, whose cells its reader checks."""
    wall = change.visible_at_us if change.HasField("visible_at_us") else None
    dots = tuple((dot.replica, dot.seq) for dot in change.dots)
    place, damage = unpack_place(change.after), change.damage or None
    return Item(change.path, change.old, change.new, wall, place, damage, dots)
