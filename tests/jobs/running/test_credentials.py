"""A credential comes from the environment, and its text goes nowhere else."""

from __future__ import annotations

import pickle

import pytest

from backfill.core.errors import ConfigError
from backfill.core.secret import Secret
from backfill.destinations import destination
from backfill.jobs.running.credentials import credential_for

PRISTO = destination("pristo-events")
WATCH = destination("watch-feedbacks")


def test_each_destination_has_its_own_name():
    environment = {"PRISTO_API_KEY": "one", "PRELUDE_API_TOKEN": "two"}
    assert credential_for(PRISTO, environment).reveal() == "one"
    assert credential_for(WATCH, environment).reveal() == "two"


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "as Windows writes it"])
def test_a_file_may_hold_it(tmp_path, mark):
    path = tmp_path / "key"
    path.write_text(f"{mark}from-a-file\n", encoding="utf-8")
    assert credential_for(PRISTO, {"PRISTO_API_KEY_FILE": str(path)}).reveal() == "from-a-file"


@pytest.mark.parametrize("environment", [{}, {"PRISTO_API_KEY": ""}, {"PRISTO_API_KEY": "  "}])
def test_a_missing_one_names_the_variable(environment):
    with pytest.raises(ConfigError, match="PRISTO_API_KEY"):
        credential_for(PRISTO, environment)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere"):
        credential_for(PRISTO, {"PRISTO_API_KEY_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("text", ["two\nlines", "with blank", "caf\u00e9", "nul\x00"])
def test_what_no_header_can_carry_is_refused_without_being_repeated(text):
    with pytest.raises(ConfigError) as caught:
        credential_for(PRISTO, {"PRISTO_API_KEY": text})
    assert text not in str(caught.value)


def test_the_word_of_the_header_is_none_of_the_credential():
    with pytest.raises(ConfigError, match="Leave out `Bearer `") as raised:
        credential_for(WATCH, {"PRELUDE_API_TOKEN": "Bearer abc"})
    assert "abc" not in str(raised.value)


def test_a_secret_shows_itself_nowhere():
    secret = Secret("hidden-text")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", repr([secret])]
    assert not any("hidden-text" in text for text in shown)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
