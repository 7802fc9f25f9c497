"""UUIDs that are written in another way than the one of 36 characters, and SQL that undoes it.

They are no ids of your own: by `contact_id` each would become another contact than the UUID is.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

__all__ = ["UUID_FORMS", "UuidForm", "uuid_form"]

_DASHED = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
# Of 32 digits the version and the variant tell a UUID from a hash (RFC 9562, section 4).
_DIGITS = "[0-9a-f]{12}[1-8][0-9a-f]{3}[89ab][0-9a-f]{15}"
_PARTS = ("1, 8", "9, 4", "13, 4", "17, 4", "21, 12")


@dataclass(frozen=True)
class UuidForm:
    """A way to write UUIDs: `what` it is, the pattern of such a text, and SQL with `{}` for the
    column, which writes the UUID plainly and leaves other texts as they are.
    """

    what: str
    pattern: str
    sql: str

    def plain(self, text: pl.Expr) -> pl.Expr:
        """The plain UUID in lower case where a text is one so written or plainly, else null."""
        lower = text.str.to_lowercase()
        digits = lower.str.replace("^urn:uuid:", "").str.replace_all("[^0-9a-f]", "")
        dashed = digits.str.replace("^(.{8})(.{4})(.{4})(.{4})(.{12})$", "$1-$2-$3-$4-$5")
        known = text.str.contains(self.pattern) | lower.str.contains(f"^{_DASHED}$")
        return pl.when(known).then(dashed)


UUID_FORMS = (
    UuidForm("in braces", f"(?i)^[{{]{_DASHED}[}}]$", "TRIM(BOTH '{{}}' FROM {})"),
    UuidForm("behind urn:uuid:", f"^urn:uuid:(?i:{_DASHED})$", "REPLACE({}, 'urn:uuid:', '')"),
    UuidForm(
        "without dashes",
        f"(?i)^{_DIGITS}$",
        "CASE WHEN LENGTH({0}) = 32 THEN "
        + " || '-' || ".join(f"SUBSTR({{0}}, {part})" for part in _PARTS)
        + " ELSE {0} END",
    ),
)


def uuid_form(texts: pl.Series) -> UuidForm | None:
    """The form in which half of the texts or more are UUIDs; None where that is none of these."""
    filled = texts.drop_nulls()
    for each in UUID_FORMS:
        count = int(filled.str.contains(each.pattern).sum())
        if count and 2 * count >= len(filled):
            return each
    return None
