"""From a TOML file to a `Config`, with errors that a person can act on."""

from __future__ import annotations

import contextlib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from backfill.config.questions import open_questions
from backfill.config.types import Config
from backfill.errors import ConfigError, did_you_mean

__all__ = ["config_from_mapping", "load_config"]

_CREDENTIAL_KEY = re.compile(
    r"(^|[_-])(token|api[_-]?key|apikey|secret|password|passwd|credentials?|authorization|bearer)s?$",
    re.IGNORECASE,
)
_CREDENTIAL_ENV = ("PRELUDE_API_TOKEN", "PRISTO_API_KEY")
_TELLING = 8  # characters: a shorter credential may be a part of any word


def load_config(path: str | Path) -> Config:
    """Read and check a configuration file. Raises ConfigError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", where=str(path), hint="`backfill init EVENTS` writes one."
        ) from None
    except IsADirectoryError:
        raise ConfigError("is a directory, not a configuration file", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"is not TOML: {error}", where=str(path)) from error
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return config_from_mapping(content, directory=path.parent, path=path)


def config_from_mapping(
    content: Mapping[str, Any], *, directory: Path, path: Path | None = None
) -> Config:
    """Check a configuration given as nested mappings, as TOML would hold it."""
    where = str(path) if path else "configuration"
    _refuse_credentials(content, where)
    _refuse_questions(content, where)
    try:
        return Config.model_validate({**content, "directory": directory, "path": path})
    except ValidationError as error:
        lines = [_explain(each["loc"], each["type"], each["msg"]) for each in error.errors()]
        raise ConfigError("\n  ".join(["is not right:", *lines]), where=where) from None


def _refuse_credentials(content: Mapping[str, Any], where: str) -> None:
    known = _known_credentials()
    for names, value in _leaves(content):
        named = names[:1] != ["fields"] and _CREDENTIAL_KEY.search(names[-1])
        texts = [*names, value] if isinstance(value, str) else names
        held = any(text.startswith("Bearer ") or known(text) for text in texts)
        if named or held:
            place = ".".join("***" if known(name) else name for name in names)
            raise ConfigError(
                f"{place} holds a credential; its value was not read",
                where=where,
                hint="Delete it here and set PRELUDE_API_TOKEN or PRISTO_API_KEY in the environment"
                " (or PRELUDE_API_TOKEN_FILE, PRISTO_API_KEY_FILE).",
            )


def _known_credentials() -> Callable[[str], bool]:
    """Whether a text is a credential of the environment, or holds one within an expression."""
    known = set()
    for name in _CREDENTIAL_ENV:
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


def _explain(location: tuple[int | str, ...], kind: str, message: str) -> str:
    names = [str(part) for part in location if isinstance(part, str)]
    section, name = ".".join(names[:-1]), names[-1] if names else ""
    place = f"[{section}] {name}" if section else name
    if kind == "extra_forbidden":
        hint = did_you_mean(name, _known_keys(names[:-1]))
        return f"{place}: unknown key. {hint or ''}".rstrip()
    if kind == "missing":
        return f"{place}: is missing"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _known_keys(section: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for name in section:
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return [name for name, field in model.model_fields.items() if not field.exclude]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    options = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
