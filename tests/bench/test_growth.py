"""Clusters as they grow, and members as they restart under new ids: what is counted stays within what is promised."""

from __future__ import annotations

import churn
import large


def test_a_write_reaches_all_within_two_log_n_rounds() -> None:
    for count in (8, 17, 64):
        found = large.figures(count)
        assert found.rounds_worst <= large.ROUNDS_MAX * found.doublings
        assert found.batches >= count - 1, "fewer cannot have reached all"
        assert count <= 16 or found.links_max <= 8


def test_ten_thousand_new_identities_add_nothing_to_what_is_exchanged() -> None:
    few, many = churn.figures(100), churn.figures(10_000)
    assert (many.open_bytes, many.tell_bytes) == (few.open_bytes, few.tell_bytes)
    assert many.joiner_open_bytes > 80 * few.joiner_open_bytes, "else nothing was tried"
