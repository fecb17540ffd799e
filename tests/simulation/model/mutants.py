"""The rules of the model that can be left out, and a schedule that then fails: `python -m tests.simulation.model --mutants`.

Beside each the schedule that random ones were shrunk to; it passes with the rule in place. (That of the events which have lost
rows is made by hand: random ones find it less than once in 60,000. That of the cells which a full exchange has passed was found
by seed 8512460 when the engine and the model lacked the rule: once in ten million. That of the
dead context that is owed is made by hand, when that one was understood; random ones have not found it. The three of orphans are
of seeds from `SETBACKS` on.)
"""

from __future__ import annotations

from . import rules

CAUGHT: dict[int, tuple[str, str]] = {
    rules.CLAIM_GAPS: ("gaps between rows are claimed with the rows", "0068f2000b45022ffb0f7025032e2b"),
    rules.CLAIM_THE_END: (
        "the vector at the end of an exchange is claimed, not that at its beginning",
        "00b24f02e81b03d6fe04de97059f2d00b141068d2405d94106c118",
    ),
    rules.STRIP_BY_AGE: (
        "a dead entry is stripped because it is stable itself",
        "0c695f019bdf0383d500c0ed03f8a80369550db11b093798",
    ),
    rules.LATE_ENTRIES_LIVE: (
        "what is delivered and lacking here is not dead on arrival",
        "04ff6a0084a80532a70236031121e306fa35",
    ),
    rules.SPLIT_EVENTS: ("a batch holds parts of events", "01260e03083f"),
    rules.NO_INHERITED_HORIZON: ("the sender's horizon is not adopted with its cells", "0146f31139e50f1ec0"),
    rules.GOSSIP_BEFORE_COMMIT: ("what is sent is not yet committed", "0266990a6389"),
    rules.REUSE_IDENTITY: (
        "a restored or copied disk keeps its replica id",
        "0cf55b0fa0fd015e030d066500e2fe",
    ),
    rules.REPLACE_GROUPED_ROWS: (
        "the rows of events over several cells are replaced by newer ones",
        "01feaf005f1b01bf96036e37",
    ),
    rules.ROWS_STAY_BEHIND: ("the row of a superseded write does not move ahead", "02ac4c0282e5"),
    rules.DOTS_LATER: ("the dots that a cell shows wait for the claim", "0f58b701df6a02eb2f007bd503bf35"),
    rules.FULL_KEEPS_THE_DEAD: (
        "what the sender of all cells lacks stays alive",
        "018dc40c305711503c01f8f7110fa10e3c82",
    ),
    rules.FULL_KILLS_THE_UNSENT: (
        "what lies outside the sender's vector dies with the rest",
        "0146f31139e50f1ec0020bd6",
    ),
    rules.HORIZON_AT_ONCE: (
        "the sender's horizon is adopted at the beginning of a full exchange",
        "0146f31139e50f1ec0",
    ),
    rules.HALF_DONE_FORWARDS: (
        "a node whose full exchange is not over sends",
        "007178118f260f29d4006fea03d169037316",
    ),
    rules.COLLECTED_GROUPS_TRAVEL: (
        "an event that has lost rows travels as a whole one",
        "101200010004030000031000000000090000031209",
    ),
    rules.RESUME_ANYWHERE: (
        "a full exchange is resumed from another sender",
        "02871e114cf600a63e0f05420375b9",
    ),
    rules.CLAIM_OUT_OF_ORDER: (
        "a claim counts though batches before it are lost",
        "02003604965700d88e05daf7056380060865",
    ),
    rules.HOLES_ARE_STABLE: (
        "what lies behind a hole is stable",
        "0c5877026d8904284e0091b002f46905c3a20d461006b8261116df",
    ),
    rules.ROWS_BELOW_THE_HORIZON: ("a peer below the horizon is answered row by row", "0146f31139e50f1ec0"),
    rules.HORIZON_OF_WHOLE_EVENTS: (
        "an event with one row left is not in the horizon",
        "01b30603d4410439e2032bd70331ba05153f06229b090255",
    ),
    rules.RECREATED_STAYS: (
        "a collected cell that a late message brings back keeps its context",
        "048847014c8e057eba01acb211a0ae06cacc",
    ),
    rules.PASSED_CELLS_FORGET: (
        "in a cell that an unfinished full exchange has passed, its vector counts for nothing",
        "02c07503d8940050f610fd7403953109a33a0f4b6104ddbb05352f063c10",
    ),
    rules.DEBT_IS_COLLECTED: (
        "dead context that is owed is stripped though not all below it is delivered",
        "0000010300000000010312000002010302001000000a01000b01000900000002020f000003200903020b031100",
    ),
    rules.ORPHANS_WAIT: (
        "what was being sent, and exists nowhere any more, is waited for",
        "0c009e0c012d0c02c40049d611d7880f64570302090d00000d01000d0200",
    ),
    rules.ORPHANS_JOIN: (
        "a cell that shows what exists nowhere any more is joined, not replaced",
        "0c03c80139e411896f0fad4d03200b0d0000",
    ),
    rules.ORPHANS_HEAR_OTHERS: (
        "cells are replaced though others were heard meanwhile",
        "0001021100000c00000c01000c02000000001100000f00000320090d00000d01000d0200000101041101050001060000020202050200031100031109030202060200",
    ),
    rules.GROUPS_UNNAMED: ("a batch does not name the events that it holds whole", "019b970129af038c65"),
}
"""Rule -> what is left out, and the steps of a schedule that then fails."""
