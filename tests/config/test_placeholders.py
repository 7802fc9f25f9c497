"""A question mark is an open question where an answer belongs, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill.config import config_from_mapping, load_config
from backfill.config.placeholders import open_questions
from backfill.core.errors import ConfigError

ANSWERED = {
    "destination": "watch-events",
    "events": {"files": "e.csv", "null_values": ["?", "-"], "separator": "?"},
    "fields": {
        "target.value": "phone",
        "label": {"value": "?"},
        "confidence": {
            "column": "label",
            "values": {"?": "high", "value": "low"},
            "otherwise": {"value": "?"},
        },
    },
}


def test_question_marks_that_are_answers_stand():
    assert open_questions(ANSWERED) == ()
    assert config_from_mapping(ANSWERED, directory=Path()).events.null_values == ("?", "-")


def test_every_open_question_is_listed_once_in_the_order_of_the_file():
    questions = open_questions(
        {
            "population": "?",
            "events": {"files": "e.csv", "time": "at", "timezone": " ? "},
            "fields": {
                "confidence": {"column": "event", "values": {"a": "?", "b": "low", "value": "?"}},
                "label": "?",
            },
            "rules": {"contact_id": {"namespace": "?"}},
        }
    )
    assert [question.place for question in questions] == [
        "population",
        "[events] timezone",
        "[fields] confidence",
        "[fields] label",
        "[rules.contact_id] namespace",
    ]
    assert "'a', 'value'" in questions[2].asked
    assert "'b'" not in questions[2].asked


def test_a_long_table_names_some_values_and_counts_the_others():
    values = {f"label {number}": "?" for number in range(9)}
    (question,) = open_questions({"fields": {"confidence": {"column": "x", "values": values}}})
    assert "'label 3' and 5 more" in question.asked


def test_loading_refuses_open_questions_before_anything_else(tmp_path):
    """The values of open questions would break other rules; those are not what is wrong."""
    path = tmp_path / "pristo.toml"
    path.write_text(
        'destination = "pristo-events"\npopulation = "?"\n[events]\nfiles = "e.csv"\n'
        'timezone = "?"\n[fields]\n"type" = "event"\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: 2 questions are still open:")
    assert "population: the UUID" in text
    assert "[events] timezone" in text
    assert "is no time zone" not in text
    assert caught.value.exit_code == 2


def test_a_frame_in_a_configuration_is_not_compared_with_a_question_mark():
    class Frame:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("a frame was compared")

        __hash__ = None  # type: ignore[assignment]  # as frames have none

    assert open_questions({"events": {"files": Frame()}}) == ()
