"""A process that is killed in the middle of its writes, for real: nothing it acknowledged is lost or torn."""

from pathlib import Path
from random import Random

from .helpers import line, python, replica_in, value

KILLS = 20

WRITER = """
import itertools, sys
from gossamer.backend import make_op
from gossamer.config import of
from gossamer.crdt import path
from gossamer.opening import open_replica
from gossamer.turns import Instant, Write
replica = open_replica(of(sys.argv[1], durability=sys.argv[2]))
print(replica.replica.hex())
one, two = path.of_text("counter:one"), path.of_text("counter:two")
for n in itertools.count(1):
    ops = [make_op(one, "add", (1,)), make_op(two, "add", (1,))]
    ops += [make_op(path.of_text(f"register:{n % 50}"), "set", ("x" * (n % 3000),))]
    dot = replica.turn([Write("default", ops)], Instant(n, 0.0))[0]
    print(dot[1])
"""


def killed(where: Path, durability: str, acks: int) -> tuple[bytes, int]:
    """Write until so many writes are acknowledged, and kill it; its id and the last acknowledged seq, or 0."""
    process = python(WRITER, str(where), durability)
    replica = bytes.fromhex(line(process))
    lines = [line(process) for _ in range(acks)]
    process.kill()
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == -9, errors
    lines += [one for one in rest.splitlines(keepends=True) if one.endswith("\n")]
    return replica, int(lines[-1]) if lines else 0


def survives(where: Path, durability: str, kills: int, seed: int) -> None:
    rng, ids, acked = Random(seed), set(), 0
    for _ in range(kills):
        replica_id, last = killed(where, durability, rng.randint(0, 40))
        ids.add(replica_id)
        acked = max(last, acked)
        with replica_in(where, durability=durability) as replica:
            assert replica.replica == replica_id
            made = replica.state("default").delivered.last(replica_id)
            assert acked <= made
            assert value(replica, "counter:one") == value(replica, "counter:two") == made
            acked = made
    assert len(ids) == 1


def test_twenty_kills_lose_nothing_and_keep_the_id(tmp_path: Path) -> None:
    survives(tmp_path, "commit", KILLS, seed=1)


def test_kills_in_relaxed_durability_lose_nothing_and_keep_the_id(tmp_path: Path) -> None:
    survives(tmp_path, "relaxed", 3, seed=2)
