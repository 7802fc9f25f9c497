"""Languages by their two-letter codes.

Source: Pristo `Contact.language` ("ISO 639-1 language code (e.g. en, he)").
"""

from __future__ import annotations

import polars as pl

from backfill.checks.checked import Steps, in_lower_case, trimmed

__all__ = ["LANGUAGES", "check_language"]

LANGUAGES = frozenset(
    """
    aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy
    da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu
    hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb
    lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om
    or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw
    ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
    """.split()  # noqa: SIM905 - a list of 184 literals is harder to compare with the published one
)
"""The codes of ISO 639-1 as published by its registration authority."""


def check_language() -> Steps:
    """The code in lower case, without white space around it. Rule: `language`.

    A tag with a region (`en-US`), a three-letter code (`eng`), a withdrawn one (`iw`) and a
    language's name are refused, never cut down or translated.
    """
    code = in_lower_case(trimmed(pl.field("text")))
    known = pl.field("value").is_in(sorted(LANGUAGES))
    return Steps(({"value": code}, {"language": ~known}), ("language",))
