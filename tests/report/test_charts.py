"""The charts of a job: what is in them, and that they stand by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.model import Books, State
from backfill.report.charts import draw, picture
from backfill.report.drawing import Chart, bars, books_chart
from backfill.report.gather import Figures, gather
from backfill.report.wording import COLOURS
from tests.report.documents import message, parse
from tests.report.jobs import deliver, make_job, ticks

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["books", "outcomes", "requests", "replies", "times"]


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    job = make_job(
        tmp_path_factory.mktemp("pictures") / "a.job",
        buckets=(900,),
        delivery={"rate": "6/s"},
    )
    deliver(
        job,
        [(0, 700, State.DELIVERED, ""), (0, 30, State.FAILED, "no")],
        [*ticks(90), *ticks(30, start=1_750_090_000, throttled=8)],
    )
    return gather(job)


@pytest.fixture(scope="module")
def charts(figures: Figures) -> dict[str, Chart]:
    return draw(figures)


def heights(path: str) -> list[float]:
    """How tall the bars of one colour are, in units of the plot."""
    return [
        float(ground) - float(top) for ground, top in re.findall(r"M\S+ ([^V]+)V([^H]+)H", path)
    ]


def test_each_file_is_a_document_with_a_title_and_nothing_from_elsewhere(
    charts: dict[str, Chart],
) -> None:
    assert list(charts) == NAMES
    for chart in charts.values():
        document = parse(picture(chart))
        assert document.tag == f"{SVG}svg"
        assert message(document).startswith(chart.title)
        assert not any(each.tag in {f"{SVG}image", f"{SVG}script"} for each in document.iter())
        assert not any("href" in name for each in document.iter() for name in each.attrib)
    assert charts["times"].title == "Records by the week in which they happened"


def test_drawings_hold_the_states_that_occur_and_no_other(charts: dict[str, Chart]) -> None:
    assert list(charts["times"].parts) == ["delivered", "failed", "pending"]
    assert list(charts["requests"].parts) == ["requests", "throttled"]
    assert list(charts["outcomes"].parts) == ["delivered"]  # no tick tells of another


def test_time_is_written_on_the_axis_and_pauses_are_marked(charts: dict[str, Chart]) -> None:
    outcomes = charts["outcomes"]
    assert outcomes.across[0].lines == ("15:06:40", "15 Jun")
    (cut,) = outcomes.cuts
    after = next(label for label in outcomes.across if label.at > cut)
    assert after.lines == ("16:10", "16 Jun")
    assert picture(outcomes).count('stroke-dasharray="2 4"') == 1


def test_the_configured_rate_is_drawn_where_there_is_one(
    charts: dict[str, Chart], tmp_path: Path
) -> None:
    assert charts["requests"].limit == 0  # the most that the axis has room for
    assert picture(charts["requests"]).count('stroke-dasharray="6 3"') == 1
    free = make_job(tmp_path / "a.job", delivery={"rate": "auto"})
    deliver(free, [(0, 3, State.DELIVERED, "")], ticks(3))
    assert draw(gather(free))["requests"].limit is None


def test_nothing_is_drawn_over_time_of_slices_that_were_filled_in_part(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 3, State.DELIVERED, "")], [*ticks(2), *ticks(1, start=1_750_090_000)])
    assert list(draw(gather(job))) == ["books", "replies", "times"]
    deliver(job, [], ticks(3, start=1_750_190_000))
    assert list(draw(gather(job))) == NAMES


def test_nothing_is_drawn_of_what_never_was(tmp_path: Path) -> None:
    assert list(draw(gather(make_job(tmp_path / "a.job", times=None)))) == ["books"]


def test_bars_are_as_tall_as_their_values_and_reach_behind_those_below() -> None:
    columns = [{"a": 10.0, "b": 30.0}, {"a": 20.0}]
    chart = bars("name", "Title", {"a": "#aaaaaa", "b": "#bbbbbb", "c": "#cccccc"}, columns, [])
    behind, front = chart.shapes
    assert (behind.colour, heights(behind.path)) == ("#bbbbbb", [180])
    assert (front.colour, heights(front.path)) == ("#aaaaaa", [45, 90])
    assert [label.lines[0] for label in chart.up] == ["0", "10", "20", "30", "40"]


# --- the books -------------------------------------------------------------------------------

COUNTS = st.integers(0, 10**8) | st.integers(0, 3)


def edges(chart: Chart) -> list[tuple[float, float]]:
    """Where each segment begins and ends."""
    found = [re.fullmatch(r"M(\S+) 36V0.00H(\S+)V36z", each.path) for each in chart.shapes]
    return [(float(each[1]), float(each[2])) for each in found if each]


@given(st.fixed_dictionaries({state.value: COUNTS for state in State}))
@settings(max_examples=100, deadline=None)
def test_the_bar_shows_every_state_that_has_records_and_fills_its_width(
    counts: dict[str, int],
) -> None:
    chart = books_chart(Books(input=sum(counts.values()), **counts))
    assert [each.colour for each in chart.shapes] == [
        colour for state, colour in COLOURS.items() if counts[state.value]
    ]
    segments = edges(chart)
    assert len(segments) == len(chart.shapes)
    assert all(stop - start >= 4.9 for start, stop in segments)
    if segments:
        assert segments[-1][1] == pytest.approx(800, abs=0.1)


def test_segments_are_as_wide_as_their_share() -> None:
    first, second = edges(books_chart(Books(input=100, delivered=75, pending=25)))
    assert first[1] - first[0] == pytest.approx(3 * (second[1] - second[0]), rel=0.001)


def test_every_state_has_a_colour_and_a_number_beside_the_bar() -> None:
    assert set(COLOURS) == set(State)
    chart = books_chart(Books(input=1_203, delivered=1_200, rejected=3))
    assert chart.title == "The books of 1,203 records"
    assert list(chart.parts) == ["delivered 1,200", "rejected 3"]
    assert books_chart(Books()).shapes == []
