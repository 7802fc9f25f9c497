"""What a run is told, from the configuration and the caller."""

from __future__ import annotations

from typing import Any

import pytest

from backfill.config import Delivery
from backfill.core.errors import ConfigError
from backfill.destinations import destination
from backfill.jobs.running.settings import settings_for


@pytest.mark.parametrize("only", ["label=login", ["label=login"], {"label": 5}, {"label": []}, 7])
def test_what_maps_no_field_to_texts_is_refused_in_plain_words(only: Any) -> None:
    with pytest.raises(ConfigError, match="only"):
        settings_for(Delivery(), destination("watch-events"), only)


def test_a_field_takes_one_value_or_several() -> None:
    only = {"label": "a", "confidence": ["low", "high"]}
    found = settings_for(Delivery(), destination("watch-events"), only)
    assert found.only == {"label": ("a",), "confidence": ("low", "high")}


def test_a_field_that_the_destination_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"contact\.idd") as raised:
        settings_for(Delivery(), destination("pristo-events"), {"contact.idd": "x"})
    assert "contact.id" in str(raised.value.hint)
