"""What PostgreSQL complains about, as a LedgerError that says what is wrong and what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import psycopg

from backfill.core.errors import (
    BackfillError,
    BusyError,
    LedgerAccessError,
    LedgerError,
    OwnershipError,
)
from backfill.ledger.spans import ContradictionError

__all__ = ["CONTRADICTION", "DAMAGED", "LOST", "TOO_SOON", "in_words", "is_starting"]

CONTRADICTION = "BF001"
"""The SQLSTATE by which a function of ours says that the ledger does not agree."""

LOST = "BF002"
"""The SQLSTATE by which it says that a bucket is not ours any more."""

TOO_SOON = "BF003"
"""The SQLSTATE by which it says that a lost request may still arrive, for so many seconds."""

DAMAGED = (
    "Nothing was lost at the destination. Restore the database from a backup; without one, a new"
    " job cannot know what this one has delivered."
)
"""What helps where the books of a ledger do not balance."""

_BUSY = "55P03"
"""The SQLSTATE of a lock that another process holds for longer than is waited for it."""

_WORDS = {
    "08": (
        "the database cannot be reached",
        "Nothing more was sent. Once it is back, run the same command again.",
    ),
    "28": (
        "the database lets nobody in here",
        "Check its name in `ledger` under [cluster], the user there or in PGUSER, and the password:"
        " PGPASSWORD, PGPASSWORD_FILE or ~/.pgpass, never the configuration.",
    ),
    "3D": ("there is no such database", "Create it, or mend `ledger` under [cluster]."),
    "TLS": (
        "there is no such connection by TLS",
        "Check `sslmode` and the certificates' files in `ledger` under [cluster], or in PGSSLMODE,"
        " PGSSLROOTCERT, PGSSLCERT and PGSSLKEY.",
    ),
    "42501": (
        "this user lacks a right that the ledger needs",
        "The user who plans needs CREATE on the database: GRANT CREATE ON DATABASE … TO ….",
    ),
    _BUSY: (
        "another process works on this job",
        "Wait for it, or look on with backfill status.",
    ),
    "53": (
        "the database has no room or no connection left",
        "Give it some, then run the same command again: it goes on where it stood.",
    ),
    "57014": (
        "the database cancelled what was asked of it",
        "Somebody did, or a limit of time was set. Run the same command again: it goes on where it"
        " stood.",
    ),
    "57": (
        "the database ended the connection",
        "Nothing more was sent. Once it is back, run the same command again.",
    ),
    "57P03": (
        "the database is starting or stopping",
        "Nothing more was sent. Once it is back, run the same command again.",
    ),
    "58": (
        "the database cannot be used now",
        "Its own log says more. Once it works, run the same command again: it goes on where it"
        " stood.",
    ),
    "25006": (
        "the database can only be read",
        "It is a standby, perhaps: name the primary in `ledger` under [cluster].",
    ),
}

_ANSWERED = "58000"
"""The SQLSTATE that is taken for what a server said that is not understood."""

_CONFIGURED = ("28", "3D", "TLS")
"""What does not pass, however often it is tried."""

_REFUSALS = (
    # What passes stands first: a second try, without TLS, may be refused for another reason.
    (r"database system is (starting|shutting|in recovery|not yet)|not accepting conn", "57P03"),
    (r"session is read-only", "25006"),
    (r"too many (clients|connections)|connection slots", "53300"),
    (r"no password supplied|authentication failed|pg_hba\.conf|FATAL: +role ", "28000"),
    (r"FATAL: .*(permission denied|parameter|command-line argument)", "28000"),
    (r"FATAL: +database .* does not exist", "3D000"),
    (r"\b(SSL|TLS|sslmode|sslrootcert|certificate)\b", "TLS"),
    (r"No space left on device", "53100"),
    (r"FATAL: ", _ANSWERED),  # it answered, and something in it is wrong
)
"""What a connection that is not made is refused with, and its SQLSTATE, which libpq keeps back."""


def is_starting(error: Exception) -> bool:
    """Whether `in_words` told of a database that refused a connection and will soon take one."""
    cause = error.__cause__
    return isinstance(cause, psycopg.Error) and _state(cause) == "57P03"


def _state(error: psycopg.Error) -> str:
    """The SQLSTATE; where the server was in English, that of a connection that it refused, too."""
    if error.sqlstate is not None:
        return error.sqlstate
    said = str(error)
    found = next((code for words, code in _REFUSALS if re.search(words, said)), "08000")
    return "28P01" if found in (_ANSWERED, "08000") and _password_refused(error) else found


def _password_refused(error: psycopg.Error) -> bool:
    """Whether a connection was refused after a password was asked for, in words about its user.

    That is what is left to go by where the server speaks another language than English.
    """
    with contextlib.suppress(psycopg.Error, AttributeError):  # the connection is gone
        refused = error.pgconn
        if refused is not None:
            user = f"(?<![\\w@]){re.escape(refused.user.decode(errors='replace'))}(?!\\w)"
            asked = refused.needs_password or refused.used_password
            return asked and re.search(user, _own_words(error)) is not None
    return False


def _own_words(error: psycopg.Error) -> str:
    """What the server said, without what libpq says of where it is."""
    return str(error).partition(" failed: ")[2]


def _kind(code: str) -> type[BackfillError]:
    if code == _BUSY:
        return BusyError
    return LedgerAccessError if code.startswith(_CONFIGURED) else LedgerError


@contextlib.contextmanager
def in_words(where: str) -> Iterator[None]:
    """Raise what psycopg raises as LedgerError, and what our functions raise as what it is.

    A lock that was not to be had in time is a BusyError, and so is what may be said again soon.
    """
    try:
        yield
    except psycopg.Error as error:
        code = _state(error)
        said = error.diag.message_primary or str(error).strip().partition("\n")[0]
        if code == CONTRADICTION:
            raise ContradictionError(said) from error
        if code == LOST:
            raise OwnershipError(
                said,
                where=where,
                hint="Another process took over, because this one was not heard of in time. What"
                " was in flight here is unknown.",
            ) from error
        if code == TOO_SOON:
            raise BusyError(
                f"a request of a deliverer that was lost may still arrive, for {said} s",
                where=where,
                hint="Nothing was changed. Say it again then: what is sent again before could"
                " arrive twice.",
            ) from error
        words = _WORDS.get(code) or _WORDS.get(code[:2])
        message, hint = words or ("the database cannot do what was asked", None)
        raise _kind(code)(f"{message} ({said})", where=where, hint=hint) from error
