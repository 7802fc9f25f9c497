"""Where a credential comes from: the environment, or a file that the environment names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from backfill.core.errors import ConfigError
from backfill.core.secret import Secret
from backfill.destination import Destination

__all__ = ["credential_for"]


def credential_for(
    destination: Destination, environment: Mapping[str, str] | None = None
) -> Secret:
    """Find the destination's credential.

    `NAME` holds it; where that is not set or empty, `NAME_FILE` names a file that holds nothing
    else. Raises ConfigError, which never quotes what it found.
    """
    environment = os.environ if environment is None else environment
    name = destination.credential_env
    text, origin = environment.get(name, ""), name
    if not text.strip() and environment.get(f"{name}_FILE"):
        origin = f"{name}_FILE"
        path = Path(environment[origin])
        try:
            text = path.read_text(encoding="utf-8-sig")  # as Windows writes it
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the credential's file cannot be read: {type(error).__name__}",
                where=f"{origin}={path}",
                hint=f"Check its path and permissions, or set {name}.",
            ) from None
    text = text.strip()
    if not text:
        empty = "is not set or empty" if origin == name else "names a file that is empty"
        raise ConfigError(
            f"{destination.title} needs a credential, and {origin} {empty}",
            where="environment",
            hint=f"export {name}=…, or let {name}_FILE name a file that holds it.",
        )
    if text.lower().startswith("bearer "):
        raise ConfigError(
            "begins with the word of a header", where=origin, hint="Leave out `Bearer `."
        )
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            "holds characters that no HTTP header can carry",
            where=origin,
            hint="Copy the credential again, without line breaks or quotes.",
        )
    return Secret(text)
