"""Cycles end at 10·(2^k − 1) epochs with the lowest rate, and the next epoch starts at the highest."""

from __future__ import annotations

import pytest

from osteoray.learning.schedule import LOWEST_RATE, cycle_end, learning_rate


def test_cycles_end_at_the_epochs_of_the_papers() -> None:
    assert [cycle_end(k) for k in range(1, 8)] == [10, 30, 70, 150, 310, 630, 1270]


@pytest.mark.parametrize("cycles", range(1, 8))
def test_the_rate_falls_to_the_lowest_and_restarts(cycles: int) -> None:
    end = cycle_end(cycles)
    assert learning_rate(end - 1e-9, 1e-3) == pytest.approx(LOWEST_RATE, rel=1e-3)
    assert learning_rate(end, 1e-3) == pytest.approx(1e-3)


def test_half_way_through_a_cycle_the_rate_is_half() -> None:
    assert learning_rate(5, 1e-3) == pytest.approx((1e-3 + LOWEST_RATE) / 2)
    assert learning_rate(20, 1e-3) == pytest.approx((1e-3 + LOWEST_RATE) / 2)


def test_the_first_epoch_has_the_highest_rate_and_rates_fall_within_a_cycle() -> None:
    rates = [learning_rate(e, 1.0) for e in range(10, 30)]
    assert learning_rate(0, 1.0) == 1.0
    assert rates == sorted(rates, reverse=True)
