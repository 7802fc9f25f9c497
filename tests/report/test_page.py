"""The page: sound, self-contained, safe, true to the books, and readable by everyone."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from backfill.core.model import State, Stop, StopKind, Tick
from backfill.jobdir.lock import locked
from backfill.jobdir.manifest import Example
from backfill.jobs.job import Job
from backfill.jobs.run_history import record_end, record_start
from backfill.jobs.status import Phase
from backfill.ledger import Ledger
from backfill.report.gather import Figures, gather
from backfill.report.page import page
from backfill.report.wording import COLOURS, amount
from tests.report.documents import message, parse
from tests.report.jobs import NOW, deliver, make_job, ticks

HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror=alert(1)>'\"&\u202e\x00\x1b[2J"


def busy_job(directory: Path) -> Job:
    """A job in which there is something of everything, hostile where it can be."""
    examples = {
        "contact.id|uuid": tuple(Example(file=HOSTILE, row=7, value=HOSTILE) for _ in range(3)),
    }
    job = make_job(
        directory,
        buckets=(4000, 2500),
        examples=examples,
        name=f"exports/{HOSTILE}.csv",
        delivery={"rate": "50/s", "guarantee": "at-most-once"},
        warnings=(HOSTILE, f"{'long_name' * 12}.csv holds no row"),
    )
    deliver(
        job,
        [
            (0, 3000, State.DELIVERED, ""),
            (0, 17, State.FAILED, f"refused: {HOSTILE}"),
            (0, 2, State.UNKNOWN, HOSTILE),
            (1, 11, State.DELIVERED, HOSTILE),
        ],
        [*ticks(40), *ticks(20, start=1_750_090_000, throttled=5)],
    )
    return job


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    return gather(busy_job(tmp_path_factory.mktemp("page") / "a.job"))


@pytest.fixture(scope="module")
def text(figures: Figures) -> str:
    return page(figures)


@pytest.fixture(scope="module")
def document(text: str) -> Element:
    """The page, read by a parser that forgives nothing."""
    return parse(text)


def parsed(job: Job) -> Element:
    figures = gather(job)
    return parse(page(figures))


def section(document: Element, name: str) -> Element:
    found = document.find(f".//section[@id='{name}']")
    assert found is not None
    return found


def rows(element: Element, caption: str | None = None) -> dict[str, list[str]]:
    """Rows of the tables (or of one) by the words that head them."""
    return {
        message(row[0]): [message(cell) for cell in row[1:]]
        for table in element.iter("table")
        if caption is None or message(table[0]) == caption
        for row in table.iter("tr")
    }


def cards(document: Element) -> dict[str, str]:
    """The tiles at the top by their headings."""
    found = document.find(".//dl[@class='cards']")
    assert found is not None
    return {message(card[0]): message(card[1]) for card in found}


def test_nothing_of_it_comes_from_elsewhere(text: str, document: Element) -> None:
    for element in document.iter():
        assert element.tag not in {"script", "img", "link", "iframe", "object", "embed", "base"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "style", "action", "background"}
            if name == "href":
                assert value.startswith("#")
            assert "url(" not in value
    sheet = document.find(".//style")
    assert sheet is not None
    style = message(sheet)
    assert "{" in style
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"https?://", text)


def test_its_policy_forbids_the_network_and_all_style_but_its_own(document: Element) -> None:
    policy = next(
        meta.attrib["content"]
        for meta in document.iter("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    style = document.find(".//style")
    assert style is not None
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


def test_hostile_cells_and_replies_are_text_and_what_they_hide_is_seen(
    text: str, document: Element
) -> None:
    shown = HOSTILE.replace("\u202e\x00\x1b", "⟨202E⟩⟨0000⟩⟨001B⟩")
    assert message(document).count(shown) >= 8
    assert "<script" not in text
    assert "<img" not in text
    assert not set(text) & set("\u202e\x00\x1b")


def test_the_books_are_those_of_the_job(figures: Figures, document: Element) -> None:
    books = figures.status.books
    shown = rows(section(document, "books"))
    assert shown["input"][0] == amount(books.input)
    for state in State:
        assert shown[state.value][0] == amount(books.count(state))
    assert (books.delivered, books.failed, books.unknown) == (3011, 17, 2)
    assert "The books balance" in message(section(document, "books"))


def test_the_table_over_time_sums_up_to_all_requests(figures: Figures, document: Element) -> None:
    cells = [
        row
        for name, row in rows(section(document, "time"), "Over time").items()
        if name.startswith("20")
    ]
    assert len(cells) > 20
    sent, throttled = (sum(int(row[each].replace(",", "")) for row in cells) for each in (4, 5))
    assert (sent, throttled) == (60 * 40, 20 * 5)
    assert (sent, throttled) == (figures.status.requests.sent, figures.status.requests.throttled)


def test_the_table_of_event_times_sums_up_to_the_ready_records(
    figures: Figures, document: Element
) -> None:
    found = rows(section(document, "when"))
    total = [
        sum(int(row[each].replace(",", "")) for name, row in found.items() if name[:2] == "20")
        for each in range(4)
    ]
    books = figures.status.books
    assert total == [books.delivered, books.unknown, books.failed, books.pending]


def test_every_reason_stands_with_its_count_and_its_examples(document: Element) -> None:
    found = rows(section(document, "reasons"))
    rejected = found["contact.id|uuid"]
    assert rejected[0] == "5"
    assert "The id is no UUID" in rejected[1]
    assert "other ids become UUIDs by name" in rejected[1]
    assert rejected[2].count("row 7") == 3
    (failed,) = (row for name, row in found.items() if name.startswith("refused:"))
    assert failed[:2] == ["400", "17"]
    assert [int(row) for row in re.findall(r"row ([0-9,]+)", failed[2].replace(",", ""))] == [
        3001,
        3002,
        3003,
    ]


def test_percentiles_are_those_of_the_replies(document: Element) -> None:
    found = rows(section(document, "latency"), "Percentiles")
    assert found["50%"] == ["about 45 ms"]
    assert found["99%"] == ["about 630 ms"]
    (name,) = (each.get("aria-label", "") for each in section(document, "latency").iter("div"))
    assert name == "Replies by how long they took. 2,400 replies."


def test_it_says_what_the_job_is_bound_to(document: Element) -> None:
    bound = message(section(document, "bound"))
    for each in ("e" * 64, "c" * 64, "pristo-events", "0.1.0", "at-most-once", "contact.id, type"):
        assert each in bound


def test_every_state_that_needs_a_person_has_its_command(document: Element) -> None:
    commands = [message(code) for code in section(document, "next").iter("code")]
    assert commands[0].startswith("backfill run ")
    for each in ("resolve", "retry", "records"):
        assert any(command.startswith(f"backfill {each} ") for command in commands)
    assert any(command.endswith("--state unknown -o unknown.csv") for command in commands)
    # Two choices in one block would be pasted together.
    assert all(len(list(block)) == 1 for block in section(document, "next").iter("pre"))


# --- everyone --------------------------------------------------------------------------------


def test_headings_go_down_one_step_at_a_time_and_sections_are_landmarks(
    document: Element,
) -> None:
    levels = [int(each.tag[1]) for each in document.iter() if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = {each.get("id") for each in document.iter() if each.get("id")}
    for each in document.iter("section"):
        assert each.get("aria-labelledby") in ids
    assert [len(list(document.iter(tag))) for tag in ("header", "main", "footer")] == [1, 1, 1]
    assert document.get("lang") == "en"
    for link in document.iter("a"):
        assert link.attrib["href"][1:] in ids


def test_every_picture_has_a_name_and_a_table_beside_it(document: Element) -> None:
    pictures = [each for each in document.iter() if each.get("role") == "img"]
    assert len(pictures) == 5
    assert all(len(each.get("aria-label", "")) > 20 for each in pictures)
    for part in document.iter("section"):
        if any(each.get("role") == "img" for each in part.iter()):
            assert part.find(".//table") is not None
    hidden = [each for each in document.iter() if each.get("aria-hidden") == "true"]
    inside = [svg for each in hidden for svg in each.iter("svg")]
    assert all(svg in inside for svg in document.iter("svg"))


def test_every_table_names_its_rows_and_columns(document: Element) -> None:
    for table in document.iter("table"):
        for row in table.iter("tr"):
            assert row[0].tag == "th"
        for head in table.iter("th"):
            assert head.get("scope") in {"row", "col"}
        widths = {len(row) for row in table.iter("tr")}
        assert len(widths) == 1


def test_a_table_that_is_stacked_on_a_phone_keeps_its_roles(document: Element) -> None:
    stacked = [each for each in document.iter("table") if each.get("class") == "stacked"]
    assert len(stacked) >= 3
    for table in stacked:
        assert table.get("role") == "table"
        assert all(row.get("role") == "row" for row in table.iter("tr"))
        assert all(cell.get("role") == "cell" for cell in table.iter("td"))
        assert all(cell.get("data-head") for cell in table.iter("td"))


def _palettes() -> list[dict[str, str]]:
    """The colours for light and dark, each with what it does not set itself."""
    style = files("backfill.report").joinpath("templates/page.css").read_text("utf-8")
    found: list[dict[str, str]] = []
    for block in re.findall(r":root \{([^}]*)\}", style):
        own = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        found.append({**(found[0] if found else {}), **own})
    return found


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[each : each + 2], 16) / 255 for each in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_stands_out_in_the_light_in_the_dark_and_in_print() -> None:
    palettes = _palettes()
    assert len(palettes) == 2  # paper has that of the light
    for colours in palettes:
        for behind in ("page", "card", "code"):
            for front in ("ink", "soft", "accent"):
                assert _contrast(colours[front], colours[behind]) >= 4.5
        assert _contrast(colours["alarm"], colours["alarm-page"]) >= 4.5
        for colour in COLOURS.values():
            assert _contrast(colour, colours["card"]) >= 3


def test_text_inside_the_pictures_has_the_colour_of_the_page(document: Element) -> None:
    """In the dark, in the light and in print it is the soft colour, which stands out there."""
    style = files("backfill.report").joinpath("templates/page.css").read_text("utf-8")
    assert re.search(r"\.plot \{[^}]*color: var\(--soft\)", style)
    drawings = document.findall(".//div[@class='plot']/svg")
    assert len(drawings) == 4
    for svg in drawings:
        assert svg.get("fill") == "currentColor"
        assert not [each for each in svg.iter("text") if each.get("fill")]
        lines = {each.get("stroke") for each in svg.iter("line")}
        assert lines <= {"currentColor", "white"}  # the page gives a gap its own colour


def test_numbers_of_a_billion_are_set_smaller(figures: Figures) -> None:
    """They would not fit a tile: ten digits with their commas are thirteen characters."""
    books = replace(figures.status.books, delivered=1_234_567_890, pending=1_234_567)
    document = parse(page(replace(figures, status=replace(figures.status, books=books))))
    found = {card[0].text: card[1] for card in document.iterfind(".//dl[@class='cards']/div")}
    assert (found["Delivered"].text or "").strip() == "1,234,567,890"
    assert found["Delivered"].get("class") == "long"
    assert found["Pending"].get("class") is None


def test_what_left_records_out_on_purpose_is_told(figures: Figures) -> None:
    status = replace(figures.status, exclusions={"row|where": 1_200, "row|since": 34})
    found = rows(section(parse(page(replace(figures, status=status))), "reasons"), "Excluded")
    assert [row[0] for row in found.values()] == ["Records", "1,200", "34"]
    assert "the condition under [events] is not true for it" in found["row|where"][1]


def test_a_rule_that_is_not_known_here_is_shown_by_its_name(figures: Figures) -> None:
    status = replace(figures.status, reasons={"colour|pantone": 2})
    found = rows(section(parse(page(replace(figures, status=status))), "reasons"), "Rejected")
    assert found["colour|pantone"][:2] == ["2", ""]


def test_an_abandoned_job_is_not_told_to_go_on(figures: Figures) -> None:
    status = replace(figures.status, phase=Phase.ABANDONED, next=None)
    document = parse(page(replace(figures, status=status)))
    told = message(section(document, "next"))
    assert "records left unsent when the job was abandoned." in told
    assert "backfill run" not in told
    assert "left unsent" in cards(document)["Pending"]


# --- other jobs ------------------------------------------------------------------------------


def test_a_job_that_was_only_planned_says_so(tmp_path: Path) -> None:
    document = parsed(make_job(tmp_path / "a.job"))
    assert message(section(document, "time")) == "Over time Nothing was sent yet."
    assert message(section(document, "latency")).endswith("There was no reply yet.")
    assert rows(section(document, "books"))["pending"][0] == "65"
    first = next(section(document, "next").iter("code"))
    assert message(first).startswith("backfill run ")


def test_an_empty_job_has_a_page_too(tmp_path: Path) -> None:
    document = parsed(make_job(tmp_path / "a.job", buckets=(), rejected=0, duplicate=0))
    assert "Nothing is left to do" in message(section(document, "next"))
    assert "No record was rejected" in message(section(document, "reasons"))


def test_a_run_of_one_slice_and_one_reply_can_be_drawn(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(1,), rejected=0, duplicate=0)
    deliver(job, [(0, 1, State.DELIVERED, "")], ticks(1, sent=1, delivered=1))
    document = parsed(job)
    assert "Nothing is left to do" in message(section(document, "next"))
    named = [each.get("aria-label", "") for each in document.iter() if each.get("role") == "img"]
    assert [re.split("[.:]", name)[0] for name in named] == [
        "The books of 1 records",
        "Replies by how long they took",
        "Records by the hour in which they happened",
    ]


def test_a_short_run_is_told_in_words_that_agree_with_each_other(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", buckets=(300,), delivery={"rate": "5/s"})
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        record_start(ledger, "https://api.example.com")
    deliver(job, [(0, 211, State.DELIVERED, "")], ticks(1, sent=211, throttled=3, delivered=211))
    with Ledger.open(job.directory / "ledger.sqlite") as ledger:
        record_end(ledger, 1.2, None)
    document = parsed(job)
    told = message(section(document, "time"))
    assert "15:06:50 UTC; 1.2 s of it at work." in told
    assert "211 requests, 3 of them told to slow down. That is too short for a picture." in told
    # A slice of time is ten seconds wide, whatever part of it was worked through.
    for misleading in ("21.1", "busiest", "configured", "10 s of it"):
        assert misleading not in told
    assert cards(document)["Rate"].startswith("176/s ")
    assert rows(section(document, "time"), "Over time")["2025-06-15 15:06:40 UTC"][4] == "211"


def test_a_crashed_run_of_one_slice_has_no_rate(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 9, State.DELIVERED, "")], ticks(1))
    document = parsed(job)
    assert "Rate" not in cards(document)
    assert "at work" not in message(section(document, "time"))


def test_the_line_in_a_picture_is_called_the_configured_rate_which_a_run_may_not_have_had(
    tmp_path: Path,
) -> None:
    job = make_job(tmp_path / "a.job", delivery={"rate": "2/s"})
    deliver(job, [(0, 9, State.DELIVERED, "")], ticks(9))
    told = message(section(parsed(job), "time"))
    assert "The dashed line is the rate in the configuration, 2; a run may be told another." in told


@pytest.mark.parametrize(
    "tick",
    [
        Tick(NOW, sent=10, retried=2),
        Tick(NOW, delivered=3),
        Tick(NOW, sent=4, throttled=4, latency={0: 4}),
        Tick(NOW, sent=1, throttled=3, latency={60: 1}),
        Tick(NOW),
    ],
    ids=["nothing came back", "no request", "all throttled", "a day of waiting", "nothing"],
)
def test_whatever_a_slice_of_time_holds_it_can_be_drawn(tmp_path: Path, tick: Tick) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [], [tick])
    document = parsed(job)
    found = rows(section(document, "time"), "Over time")
    assert int(found["2025-06-15 15:06:40 UTC"][4]) == tick.sent


def test_a_running_job_says_that_it_is_running(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job")
    deliver(job, [(0, 10, State.DELIVERED, ""), (0, 1, State.FAILED, "no")], ticks(2))
    with locked(job.directory, "run") as lock, Ledger.open(job.directory / "ledger.sqlite"):
        lock.enter_ledger()
        document = parsed(job)
    assert "A process works on this job" in message(section(document, "next"))
    assert "retry" not in message(section(document, "next"))
    assert "while the job was running" in message(document)


def test_books_that_do_not_balance_are_said_loudly(figures: Figures) -> None:
    books = replace(figures.status.books, pending=figures.status.books.pending - 1)
    broken = replace(figures, status=replace(figures.status, books=books))
    text = page(broken)
    assert '<p role="alert" class="alarm"><strong>THE BOOKS DO NOT BALANCE.' in text
    assert "The books balance" not in text


def test_a_stop_and_its_quiet_time_are_told(figures: Figures) -> None:
    stop = Stop(StopKind.UNAVAILABLE, f"the destination asks for an hour {HOSTILE}")
    stopped = replace(
        figures, status=replace(figures.status, stop=stop, quiet_until=1_750_000_000.0)
    )
    document = parse(page(stopped))
    told = message(section(document, "next"))
    assert "The last run stopped: the destination asks for an hour </td>" in told
    assert "Rate-limited by the server (Retry-After) until 2025-06-15 15:06:40 UTC" in told


def test_no_credential_of_an_address_is_shown(tmp_path: Path) -> None:
    job = make_job(tmp_path / "a.job", name="https://ann:s3cret@example.com/e.csv?sig=t0ken")
    shape = {"events": {"files": ["https://ann:s3cret@example.com/e.csv?sig=t0ken"]}}
    job.manifest = job.manifest.model_copy(update={"shape": shape})
    figures = gather(job)
    text = page(figures)
    assert "s3cret" not in text
    assert "t0ken" not in text
    assert "https://***@example.com/e.csv?***" in text
