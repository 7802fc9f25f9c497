"""A `~` at the beginning of a path means one thing to all that is done with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backfill.core.typed_paths import literal_path, typed_path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_a_shell_left_as_it_stands_is_in_the_home_directory(home: Path) -> None:
    assert typed_path("~/x.job") == typed_path(Path("~/x.job")) == home / "x.job"
    assert typed_path("~") == home


@pytest.mark.parametrize("text", ["./~/x.job", "./~", "~nobody-is-called-so/x.job"])
def test_what_is_said_on_purpose_or_is_nobodys_home_means_itself(home: Path, text: str) -> None:
    assert typed_path(text) == home.parent / "here" / text
    assert literal_path(Path(text)) == home.parent / "here" / text


def test_a_directory_that_is_really_called_so_is_meant(home: Path) -> None:
    Path("./~").mkdir()
    assert typed_path("~/x.job") == home.parent / "here" / "~" / "x.job"


@pytest.mark.parametrize("text", ["", ".", "a.job", "a~/x", "../~/x", "/srv/~/x", "$HOME/x"])
def test_all_other_paths_stay_as_they_were_typed(text: str) -> None:
    assert typed_path(text) == literal_path(Path(text)) == Path(text)
