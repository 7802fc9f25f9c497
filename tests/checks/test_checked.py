"""What few rows need is worked out for these alone, and once."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.checks.checked import in_lower_case, in_upper_case, seldom


@settings(max_examples=40)
@given(st.lists(st.tuples(st.none() | st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_seldom_works_out_the_rows_that_have_a_value_each_once(rows):
    seen: list[int] = []

    def doubled(values: pl.Series) -> pl.Series:
        seen.extend(values)
        return values * 2

    double = pl.field("odd").map_batches(doubled, return_dtype=pl.Int64, is_elementwise=True)
    stages = ({"double": double}, {"sum": pl.field("double") + pl.field("beside")})
    gives = {"sum": pl.Int64(), "double": pl.Int64()}
    frame = pl.DataFrame(rows, schema={"odd": pl.Int64, "beside": pl.Int64}, orient="row")
    found = frame.select(x=seldom(stages, gives, odd=pl.col("odd"), beside=pl.col("beside")))
    assert found.schema == {"x": pl.Struct(gives)}
    assert found["x"].struct.unnest().rows() == [
        (None, None) if odd is None else (2 * odd + beside, 2 * odd) for odd, beside in rows
    ]
    assert seen == [odd for odd, _ in rows if odd is not None]


@settings(max_examples=40)
@given(st.lists(st.none() | st.text(st.characters(codec="utf-8")), min_size=1))
def test_only_letters_of_ascii_change_their_case(texts):
    odd = ["\N{KELVIN SIGN}A", "\N{LATIN SMALL LETTER DOTLESS I}l", "\N{LATIN SMALL LIGATURE FI}"]
    texts = [*texts, *odd, "Il"]
    found = pl.DataFrame({"text": texts}, schema={"text": pl.String}).select(
        lower=in_lower_case(pl.col("text")), upper=in_upper_case(pl.col("text"))
    )
    lower, upper = found["lower"].to_list(), found["upper"].to_list()
    plain = [text is not None and text.isascii() for text in texts]
    assert lower == [t.lower() if p else t for t, p in zip(texts, plain, strict=True)]
    assert upper == [t.upper() if p else t for t, p in zip(texts, plain, strict=True)]
