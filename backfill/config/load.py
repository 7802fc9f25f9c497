"""From a TOML file to a `Config`, with errors that a person can act on."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backfill.config.config import Config
from backfill.config.placeholders import open_questions
from backfill.config.validation_messages import explained
from backfill.core.errors import ConfigError
from backfill.core.typed_paths import typed_path
from backfill.destinations import builtin_destinations, destination

__all__ = ["config_from_mapping", "load_config"]

_CREDENTIAL_KEY = re.compile(
    r"(^|[_-])(token|api[_-]?key|apikey|secret|password|passwd|credentials?|authorization|bearer)s?$",
    re.IGNORECASE,
)
_HALF = re.compile("[\ud800-\udfff]")
_TELLING = 8  # characters: a shorter credential may be a part of any word
_OF_DATA = ("events", "contacts", "fields", "rules", "dedupe")  # where words of the data stand


def load_config(path: str | Path) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    path = typed_path(path)
    try:
        # Editors of Windows write a byte order mark, which TOML does not know.
        content = tomllib.loads(path.read_bytes().removeprefix(codecs.BOM_UTF8).decode())
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", where=str(path), hint="`backfill init EVENTS` writes one."
        ) from None
    except IsADirectoryError:
        raise ConfigError("is a directory, not a configuration file", where=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"is not TOML: {error}", where=str(path), hint=_line_of(error, path)
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"is not TOML: {error}",
            where=str(path),
            hint="A configuration is a text: save it as UTF-8.",
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return config_from_mapping(content, directory=path.parent, path=path)


def config_from_mapping(
    content: Mapping[str, Any], *, directory: Path, path: Path | None = None
) -> Config:
    """Check a configuration given as nested mappings, as TOML would hold it."""
    where = str(path) if path else "configuration"
    _refuse_half_characters(content, where)
    _refuse_credentials(content, where)
    _refuse_questions(content, where)
    try:
        return Config.model_validate({**content, "directory": directory, "path": path})
    except ValidationError as error:
        lines = [explained(each, Config) for each in error.errors()]
        raise ConfigError("\n  ".join(["invalid configuration:", *lines]), where=where) from None


def _refuse_half_characters(content: Mapping[str, Any], where: str) -> None:
    """Half of a surrogate pair is no character, and no text can be written with it."""
    for names, value in _leaves(content):
        for text in (*names, value):
            if isinstance(text, str) and _HALF.search(text):
                place = ".".join(_HALF.sub("\N{REPLACEMENT CHARACTER}", name) for name in names)
                raise ConfigError(
                    f"{place} holds half a character (a lone surrogate), which nothing can be"
                    " written with",
                    where=where,
                )


def _refuse_credentials(content: Mapping[str, Any], where: str) -> None:
    variables = _credential_variables(content)
    known = _known_credentials(variables)
    for names, value in _leaves(content):
        named = names[:1] != ["fields"] and _CREDENTIAL_KEY.search(names[-1])
        texts = [*names, value] if isinstance(value, str) else names
        # A short one, such as "test", may well be a mere word there, and in the names of keys.
        texts = [
            text
            for text in texts
            if len(text.strip()) >= _TELLING or (text is value and names[0] not in _OF_DATA)
        ]
        held = any(text.startswith("Bearer ") or known(text) for text in texts)
        if named or held:
            place = ".".join("***" if known(name) else name for name in names)
            raise ConfigError(
                f"{place} holds a credential; its value was not read",
                where=where,
                hint=f"Delete it here and set {' or '.join(variables)} in the environment"
                f" (or {', '.join(f'{name}_FILE' for name in variables)}).",
            )


def _credential_variables(content: Mapping[str, Any]) -> list[str]:
    """Where credentials may stand: for our own destinations, and for the one that is named."""
    found = builtin_destinations()
    with contextlib.suppress(ConfigError):  # planning says what is wrong with it
        named = destination(str(content.get("destination")))
        found[named.name] = named
    return sorted({each.credential_env for each in found.values()})


def _known_credentials(variables: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text is a credential of the environment, or holds one within an expression."""
    known = set()
    for name in variables:
        text = os.environ.get(name, "")
        path = os.environ.get(f"{name}_FILE")
        if not text.strip() and path:
            with contextlib.suppress(OSError, ValueError):  # whoever needs it will say so
                text = Path(path).read_text(encoding="utf-8")
        known.add(text.strip())
    known.discard("")
    return lambda text: any(
        each == text.strip() or (len(each) >= _TELLING and each in text) for each in known
    )


def _refuse_questions(content: Mapping[str, Any], where: str) -> None:
    questions = open_questions(content)
    if questions:
        count = "a question is" if len(questions) == 1 else f"{len(questions)} questions are"
        lines = [f"{count} still open:", *(str(each) for each in questions)]
        raise ConfigError(
            "\n  ".join(lines), where=where, hint='Put an answer in the place of each "?".'
        )


def _leaves(
    content: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[list[str], Any]]:
    for key, value in content.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Mapping):
                yield from _leaves(each, (*above, str(key)))
            else:
                yield [*above, str(key)], each


def _line_of(error: tomllib.TOMLDecodeError, path: Path) -> str | None:
    """The line that the parser's words name; of what may be a credential, its name alone."""
    found = re.search(r"\(at line (\d+)", str(error))
    lines = path.read_text(encoding="utf-8-sig").split("\n") if found is not None else []
    if found is None or int(found[1]) > len(lines):
        return None
    line = lines[int(found[1]) - 1].strip()
    name, sign, _ = line.partition("=")
    secret = re.search(r"token|key|secret|password|auth", name, re.IGNORECASE)
    return f"Line {found[1]}: {name}{sign} …" if secret else f"Line {found[1]}: {line}"
