"""The charts as drawings: what is in them, and that they stand by themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backfill.core.model import State
from backfill.report.axes import PHONE
from backfill.report.gather import Figures, gather
from backfill.report.pictures import Picture, draw, png, svg_files
from backfill.report.wording import COLOURS
from tests.report.documents import message, parse
from tests.report.jobs import deliver, make_job, ticks

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ["books", "outcomes", "requests", "latency", "replies", "times"]


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
def pictures(figures: Figures) -> dict[str, Picture]:
    return draw(figures)


@pytest.fixture(scope="module")
def files(figures: Figures) -> dict[str, str]:
    return svg_files(figures)


def test_each_file_is_a_document_with_a_title_and_nothing_from_elsewhere(
    files: dict[str, str],
) -> None:
    assert list(files) == NAMES
    for svg in files.values():
        document = parse(svg)
        assert document.tag == f"{SVG}svg"
        assert not any(each.tag in {f"{SVG}image", f"{SVG}script"} for each in document.iter())
        assert not any("href" in name for each in document.iter() for name in each.attrib)
    assert "The books of 908 records" in message(parse(files["books"]))
    assert "delivered 700" in message(parse(files["books"]))
    assert "Records by the week in which they happened" in message(parse(files["times"]))


def test_a_png_is_as_large_as_its_drawing_twice(files: dict[str, str]) -> None:
    svg = files["books"]
    content = png(svg)
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[each : each + 4], "big") for each in (16, 20))
    assert (width, height) == tuple(
        2 * int(parse(svg).attrib[name]) for name in ("width", "height")
    )


def test_drawings_hold_the_states_that_occur_and_no_other(
    pictures: dict[str, Picture],
) -> None:
    assert list(pictures) == NAMES[1:]
    times = pictures["times"].desk
    for state, colour in COLOURS.items():
        there = state in (State.DELIVERED, State.FAILED, State.PENDING)
        assert (f'fill="{colour}"' in times) is there
    assert ">throttled<" in pictures["requests"].desk
    assert ">failed<" not in pictures["outcomes"].desk  # no tick tells of one


def test_time_is_written_on_the_axis_and_pauses_are_marked(pictures: dict[str, Picture]) -> None:
    outcomes = pictures["outcomes"]
    for drawing in (outcomes.desk, outcomes.phone):
        texts = re.findall(r">([^<>]+)</t(?:ext|span)>", drawing)
        assert "15:06:40" in texts
        assert "15 Jun" in texts
        assert drawing.count('stroke-dasharray="2,4"') == 1


def test_the_configured_rate_is_drawn_where_there_is_one(
    pictures: dict[str, Picture], tmp_path: Path
) -> None:
    assert pictures["requests"].desk.count('stroke-dasharray="6,3"') == 1
    free = make_job(tmp_path / "a.job", delivery={"rate": "auto"})
    deliver(free, [(0, 3, State.DELIVERED, "")], ticks(3))
    assert 'stroke-dasharray="6,3"' not in draw(gather(free))["requests"].desk


@pytest.mark.parametrize(("rate", "drawn"), [("4/s", True), ("3.5/s", True), ("3/s", False)])
def test_the_configured_rate_is_drawn_only_where_it_held(
    tmp_path: Path, rate: str, drawn: bool
) -> None:
    job = make_job(tmp_path / "a.job", delivery={"rate": rate})
    deliver(job, [(0, 3, State.DELIVERED, "")], ticks(9, sent=40))
    requests = draw(gather(job))["requests"]
    assert ('stroke-dasharray="6,3"' in requests.desk) is drawn


def test_nothing_is_drawn_over_time_of_slices_that_were_filled_in_part(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 3, State.DELIVERED, "")], [*ticks(2), *ticks(1, start=1_750_090_000)])
    assert list(draw(gather(job))) == ["replies", "times"]
    deliver(job, [], ticks(3, start=1_750_190_000))
    assert list(draw(gather(job))) == NAMES[1:]


def test_a_phone_gets_a_drawing_of_its_own(pictures: dict[str, Picture]) -> None:
    for picture in pictures.values():
        width = float(re.findall(r'viewBox="0 0 ([0-9.]+) ', picture.phone)[0])
        assert 250 < width <= PHONE.width + 40
        assert "aria-label" not in picture.phone


def test_nothing_is_drawn_of_what_never_was(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", times=None)
    assert draw(gather(job)) == {}
    assert list(svg_files(gather(job))) == ["books"]
