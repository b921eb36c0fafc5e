"""What a benchmark says of its figures."""

import pytest

from benchmarks.page import page
from benchmarks.report import Row, Spread, Table, figure, median, percentile


def test_percentiles_are_samples_that_were_taken() -> None:
    ordered = [float(number) for number in range(1, 1001)]
    assert percentile(ordered, 0.5) == 500
    assert percentile(ordered, 0.99) == 990
    assert percentile(ordered, 0.999) == 999
    assert percentile([7.0], 0.999) == 7.0
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_a_spread_names_its_worst_sample_and_how_many_there_are() -> None:
    spread = Spread.of([4.0, 1.0, 3.0, 2.0])
    assert (spread.count, spread.p50, spread.worst) == (4, 2.0, 4.0)
    assert spread.words() == "p50 2.00, p99 4.00, p99.9 4.00, worst 4.00 ms (4 samples)"
    with pytest.raises(ValueError, match="no samples"):
        Spread.of([])


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        (Row("most", 5.0, "ms", 5.0), True),
        (Row("most", 5.1, "ms", 5.0), False),
        (Row("least", 2.0, "×", 2.0, at_least=True), True),
        (Row("least", 1.9, "×", 2.0, at_least=True), False),
        (Row("beside", 1.0, "ms"), None),
    ],
)
def test_a_limit_is_the_most_or_the_least(row: Row, holds: bool | None) -> None:
    assert row.holds is holds


def test_a_table_holds_if_no_limit_is_missed() -> None:
    rows = [Row("floor", 9.0, "ms"), Row("ours", 1.0, "ms", 2.0)]
    assert Table("demo", "a title", "how", rows).holds
    table = Table("demo", "a title", "how", [*rows, Row("theirs", 3.0, "ms", 2.0)])
    assert not table.holds
    assert "MISSED" in table.text()
    assert table.to_json()["rows"][2]["holds"] is False


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.04213, "0.0421"), (2.0, "2.00"), (17.66, "17.7"), (1234.5, "1,234")],
)
def test_figures_have_three_digits_that_mean_something(value: float, text: str) -> None:
    assert figure(value) == text


def test_a_page_has_a_table_for_each_benchmark() -> None:
    row = Row("ours", 1.0, "ms", 2.0, beside="p50 0.5")
    text = page([Table("demo", "a title", "how.", [row], others=0.034)], "2 cores")
    assert "## demo: a title\n\nHow.\nOthers used 3% of the machine" in text
    assert "| ours | 1.00 ms | ≤ 2.00 ms | holds | p50 0.5 |" in text
    assert "Measured on 2 cores." in text
