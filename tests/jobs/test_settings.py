"""What a run is told, from the configuration and the caller."""

from __future__ import annotations

from typing import Any

import pytest

from backfill.config import Delivery
from backfill.core.errors import ConfigError
from backfill.destinations import destination
from backfill.jobs.running.settings import refuse_endpoint, settings_for
from tests.plugin_package.acme_visits import AcmeVisits


@pytest.mark.parametrize("only", ["label=login", ["label=login"], {"label": 5}, {"label": []}, 7])
def test_what_maps_no_field_to_texts_is_refused_in_plain_words(only: Any) -> None:
    with pytest.raises(ConfigError, match="only"):
        settings_for(Delivery(), destination("watch-events"), only)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("watch-events", "/v2/watch/event"),
        ("watch-feedbacks", "/v2/watch/feedback/"),
        ("pristo-events", "/v1/events/send"),
        ("pristo-events", "/v1/events/send/5b0c7d1e-9a34-4c58-8f21-6d3e0a9b7c42"),
    ],
)
@pytest.mark.parametrize("before", ["https://api.example.com", "https://gateway.example.com/v2"])
def test_an_address_that_has_the_path_already_is_refused_with_the_right_one(
    name: str, path: str, before: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        refuse_endpoint(before + path, destination(name))
    assert f'base_url = "{before}"' in str(raised.value)
    refuse_endpoint(before, destination(name))
    refuse_endpoint(before + path.rpartition("/")[0] + "/other", destination("watch-events"))


def test_a_path_of_one_part_may_be_where_a_gateway_has_the_api() -> None:
    refuse_endpoint("https://gateway.example.com/visits", AcmeVisits())


def test_a_field_takes_one_value_or_several() -> None:
    only = {"label": "a", "confidence": ["low", "high"]}
    found = settings_for(Delivery(), destination("watch-events"), only)
    assert found.only == {"label": ("a",), "confidence": ("low", "high")}


def test_a_field_that_the_destination_does_not_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"contact\.idd") as raised:
        settings_for(Delivery(), destination("pristo-events"), {"contact.idd": "x"})
    assert "contact.id" in str(raised.value.hint)
