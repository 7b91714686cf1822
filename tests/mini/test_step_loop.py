"""Learning-rate schedules of the recipes."""

from sipo.mini.train.step_loop import trapezoid


def test_the_trapezoid_rises_stays_and_falls_whatever_the_steps() -> None:
    assert trapezoid(0, 1000) == 0.01
    assert trapezoid(49, 1000) == 0.5
    assert {trapezoid(k, 1000) for k in range(99, 301)} == {1}
    assert trapezoid(650, 1000) == 0.5
    assert trapezoid(999, 1000) == 0.01
    assert [trapezoid(k, 1000) for k in range(300)] == [trapezoid(k, 5000) for k in range(300)]
