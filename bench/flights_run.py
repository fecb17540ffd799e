"""The course of the flights bench: who starts when, when JFK is cut off and killed, and when all is equal.

How is one node of three cut off? Every address that the nodes know of each other leads through a proxy, and in
the cut all of these let nothing through but one, over which EWR reaches LGA.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import gossamer
from flights_check import differences, impossible
from flights_data import AIRPORTS, of_airport, rows
from flights_expected import figures
from flights_ingest import read
from flights_process import Airport
from gossamer import GossamerError
from proxies import Proxies

LOOK_S = 0.05
"""Between two looks at how far everyone is."""
ASK_S = 0.2
"""Between two questions to every node, which cost them work: the resolution of the times to converge."""
STUCK_S = 120.0
"""A step that takes longer than this without any airport getting further has failed."""
CLIENT_S = 60.0
"""For one answer of a node; reading a figure of thousands of cells is one."""
CUT_OFF = AIRPORTS[1]
SPARED = "EWR to LGA"

Delivered = dict[str, list[list[int]]]
"""Replica id -> intervals of events, as a node's status has it."""


class Stuck(Exception):
    """A step did not end, or not as it must."""


class Run:
    """One run. `all` is everything; the other methods are its steps."""

    def __init__(self, limit: int, batch: int, scratch: Path, console: Console) -> None:
        self._limit, self._batch, self._scratch, self._console = limit, batch, scratch, console
        self._rows = rows(limit)
        self._airports: dict[str, Airport] = {}
        self._looks = threading.Event()  # never set: waiting for it is the pause between two looks

    def all(self) -> list[str]:
        """Start, take in with faults, converge, check; what is wrong, a line each."""
        with ExitStack() as stack:
            self._proxies = stack.enter_context(Proxies([*AIRPORTS, SPARED]))
            for name in AIRPORTS:
                self._airports[name] = self._airport(name)
                stack.callback(self._airports[name].stop)
            self._show = stack.enter_context(self._progress())
            self._bars = {
                name: self._show.add_task(name, total=a.flights) for name, a in self._airports.items()
            }
            try:
                self._start()
                began = time.monotonic()
                self._take_in_with_faults()
                self._say_rates(time.monotonic() - began)
                self._until_equal()
                self._say_bytes()
                return [*self._wrong_resumptions(), *self._wrong_figures()]
            except (Stuck, RuntimeError, GossamerError) as error:
                return [f"{type(error).__name__}: {error}"]

    # Starting

    def _airport(self, name: str) -> Airport:
        """EWR reaches LGA through the spared proxy; everything else leads through those that are cut."""
        addresses = self._proxies.addresses
        peers = {other: addresses[other] for other in AIRPORTS if other != name}
        if name == "EWR":
            peers["LGA"] = addresses[SPARED]
        settings = {
            "airport": name,
            "rows": self._limit,
            "batch": self._batch,
            "data": str(self._scratch / name),
            "advertise": addresses[name],
            "peers": list(peers.values()),
        }
        return Airport(self._scratch, len(of_airport(name, self._rows)), settings)

    def _start(self) -> None:
        for airport in self._airports.values():
            airport.start()
        for airport in self._airports.values():
            self._lead_to(airport)
        self._until(lambda: all(len(held) == 3 for held in self._linked()), "all three are linked", ASK_S)

    def _lead_to(self, airport: Airport) -> None:
        address = airport.wait()
        self._proxies.lead(airport.name, address)
        if airport.name == "LGA":
            self._proxies.lead(SPARED, address)

    def _linked(self) -> list[list[str]]:
        """For each node, the members that it is linked to, itself included."""
        return [
            [m["name"] for m in status["members"] if m["state"] in ("self", "linked")]
            for status in self._statuses()
        ]

    # Taking in

    def _take_in_with_faults(self) -> None:
        airport = self._airports[CUT_OFF]
        third, half, two_thirds = (round(airport.flights * part) for part in (1 / 3, 1 / 2, 2 / 3))
        for one in self._airports.values():
            one.allow(third if one is airport else one.flights)
        self._until(lambda: airport.position >= third, f"{CUT_OFF} has a third")
        self._proxies.cut(list(AIRPORTS))
        self._console.print(
            f"{CUT_OFF} is cut off, having {airport.position:,} of {airport.flights:,} flights"
        )
        airport.allow(two_thirds)
        self._until(lambda: airport.position >= half, f"{CUT_OFF} has half")
        airport.kill()
        self._acknowledged = airport.position
        airport.start()
        self._lead_to(airport)
        self._console.print(
            f"{CUT_OFF} was killed after {self._acknowledged:,} acknowledged flights "
            f"and goes on from {airport.resumed[-1]:,}"
        )
        airport.allow(two_thirds)
        self._until(lambda: airport.position >= two_thirds, f"{CUT_OFF} has two thirds")
        self._heal()
        self._until(lambda: all(a.position >= a.flights for a in self._airports.values()), "all are in")

    def _heal(self) -> None:
        airport = self._airports[CUT_OFF]
        held = [self._delivered(status) for status in self._statuses()]
        if covers(held[0], held[1]) or covers(held[1], held[0]):
            raise Stuck(
                f"{CUT_OFF} was not cut off: {AIRPORTS[0]} and {AIRPORTS[1]} know of each other's flights"
            )
        before = self._bytes()
        began = time.monotonic()
        self._proxies.heal(list(AIRPORTS))
        airport.allow(airport.flights)
        self._until(
            lambda: self._have_all(held), f"all have what {CUT_OFF} and the others had before the heal", ASK_S
        )
        self._console.print(
            f"After the heal: {time.monotonic() - began:.2f} s until all three had what each had before it, "
            f"while they went on; {(self._bytes() - before) / 1e6:.1f} MB exchanged meanwhile"
        )

    def _have_all(self, wanted: list[Delivered]) -> bool:
        return all(
            covers(self._delivered(status), vector) for status in self._statuses() for vector in wanted
        )

    # Ending

    def _until_equal(self) -> None:
        began = time.monotonic()
        self._until(self._are_equal, "equal vectors and digests on all three", ASK_S)
        self._console.print(
            f"At the end: {time.monotonic() - began:.2f} s from the last commit until all were equal"
        )
        held = self._statuses()[0]["keyspaces"]["default"]
        self._console.print(f"{held['cells']:,} cells, {held['events']:,} events, digest {held['digest']}")

    def _are_equal(self) -> bool:
        held = [status["keyspaces"]["default"] for status in self._statuses()]
        if any(one["delivered"] != held[0]["delivered"] for one in held):
            return False
        digests = {name: one["digest"] for name, one in zip(self._airports, held, strict=True)}
        if len(set(digests.values())) > 1:
            raise Stuck(f"equal vectors and unequal digests: {digests}")
        return True

    def _wrong_resumptions(self) -> Iterator[str]:
        """The killed ingester must have found every acknowledged batch, and at most the one under way beside."""
        resumed = self._airports[CUT_OFF].resumed[-1]
        if not self._acknowledged <= resumed <= self._acknowledged + self._batch:
            yield f"{CUT_OFF}: resumed at {resumed}, though {self._acknowledged} were acknowledged"

    def _wrong_figures(self) -> list[str]:
        expected, possible = figures(self._rows)
        wrong: list[str] = []
        last: dict[str, dict[str, str]] = {}
        for name, airport in self._airports.items():
            with gossamer.connect(airport.address, CLIENT_S) as client:
                found, last[name], positions = read(client)
            wrong += differences(name, found, expected)
            wrong += impossible(f"{name}/touched", last[name], possible)
            wrong += differences(
                f"{name}/position", positions, {a.name: a.flights for a in self._airports.values()}
            )
        for name in AIRPORTS[1:]:
            wrong += differences(f"{name}/touched, against {AIRPORTS[0]}", last[name], last[AIRPORTS[0]])
        names = ", ".join(f"{name} {len(values)}" for name, values in expected.items())
        self._console.print(f"Compared on each node: {names}, touched {len(possible)}")
        return wrong

    # What is said and seen

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self._console, disable=not self._console.is_terminal)

    def _say_rates(self, seconds: float) -> None:
        flights = sum(a.flights for a in self._airports.values())
        cells = sum(a.cells for a in self._airports.values())
        self._console.print(
            f"{flights:,} flights in {seconds:.1f} s: {flights / seconds:,.0f} flights/s, "
            f"{cells / seconds:,.0f} cells/s written, in durable transactions of up to {self._batch} flights"
        )

    def _say_bytes(self) -> None:
        each = ", ".join(f"{name} {count / 1e6:.1f}" for name, count in self._proxies.bytes.items())
        total = self._bytes()
        self._console.print(
            f"{total / 1e6:.1f} MB exchanged, {total / len(self._rows):.0f} bytes a flight ({each})"
        )

    def _bytes(self) -> int:
        return sum(self._proxies.bytes.values())

    def _statuses(self) -> list[dict[str, Any]]:
        def status(airport: Airport) -> dict[str, Any]:
            with gossamer.connect(airport.address, CLIENT_S) as client:
                return client.status()

        return [status(airport) for airport in self._airports.values()]

    @staticmethod
    def _delivered(status: dict[str, Any]) -> Delivered:
        found: Delivered = status["keyspaces"]["default"]["delivered"]
        return found

    def _until(self, condition: Callable[[], bool], what: str, look_s: float = LOOK_S) -> None:
        """Look again and again; `Stuck` if nobody gets any further."""
        moved, positions = time.monotonic(), self._positions()
        while not condition():
            self._looks.wait(look_s)
            for airport in self._airports.values():
                airport.check()
                self._show.update(self._bars[airport.name], completed=airport.position)
            if (now := self._positions()) != positions:
                moved, positions = time.monotonic(), now
            if time.monotonic() - moved > STUCK_S:
                raise Stuck(f"never: {what}; positions {now}")

    def _positions(self) -> list[int]:
        return [airport.position for airport in self._airports.values()]


def covers(held: Delivered, wanted: Delivered) -> bool:
    """Whether every interval that is wanted lies in one that is held."""
    return all(
        any(low <= first and last <= high for low, high in held.get(replica, ()))
        for replica, intervals in wanted.items()
        for first, last in intervals
    )
