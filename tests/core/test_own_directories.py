"""Where this user's programs keep their own things follows the environment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backfill.core.own_directories import cache_directory, state_directory


@pytest.mark.parametrize(
    ("directory", "variable", "usual"),
    [
        (state_directory, "XDG_STATE_HOME", ".local/state"),
        (cache_directory, "XDG_CACHE_HOME", ".cache"),
    ],
)
def test_a_directory_follows_the_environment(
    monkeypatch, tmp_path: Path, directory: Callable[[], Path], variable: str, usual: str
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv(variable, str(tmp_path))
    assert directory() == tmp_path / "backfill"
    monkeypatch.setenv(variable, "relative")
    assert directory() == Path.home() / usual / "backfill"


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_without_a_home_there_is_a_directory_all_the_same(monkeypatch, platform: str) -> None:
    """As for a user without an entry in /etc/passwd, in a container."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("sys.platform", platform)
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    assert state_directory().is_absolute()
    assert cache_directory().is_absolute()
