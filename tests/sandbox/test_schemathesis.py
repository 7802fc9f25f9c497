"""The sandbox against its own schemas, by a tool that invents requests right and wrong.

What the schemas allow is taken, what they do not allow is refused with a documented status, and
every reply has the documented shape. The sandbox knows one rule that no schema can say (a
contact's first report needs a phone or an email address), so its 400 is allowed for that.
"""

from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from backfill.sandbox import running_sandbox
from tests.sandbox.openapi import document
from tests.sandbox.requests import HEADERS

OPERATIONS = [
    ("/v2/watch/event", 200),
    ("/v2/watch/feedback", 200),
    ("/v1/events/send/{populationId}", 201),
]
_modest = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def sandbox():
    with running_sandbox() as server:
        yield server


@pytest.fixture(scope="module")
def tool():
    """Schemathesis, which takes a second to import."""
    with warnings.catch_warnings():
        # Its own dependencies are not our code.
        warnings.simplefilter("ignore")
        import schemathesis
    return schemathesis


@pytest.fixture(scope="module")
def schema(tool):
    return tool.openapi.from_dict(document())


@pytest.mark.parametrize(("path", "success"), OPERATIONS)
def test_what_the_schemas_allow_is_taken(sandbox, tool, schema, path, success):
    from schemathesis.specs.openapi import checks

    operation = schema[path]["POST"]
    promises = [
        tool.checks.not_a_server_error,
        checks.status_code_conformance,
        checks.content_type_conformance,
        checks.response_schema_conformance,
    ]
    seen = set()

    @_modest
    @given(case=operation.as_strategy(generation_mode=tool.GenerationMode.POSITIVE))
    def run(case):
        response = case.call(base_url=sandbox.url, headers=HEADERS)
        case.validate_response(response, checks=promises)
        seen.add(response.status_code)
        contact = case.body.get("contact", {}) if isinstance(case.body, dict) else {}
        if contact and not (contact.get("phone") or contact.get("email")):
            assert response.status_code in (success, 400)
        else:
            assert response.status_code == success, (case.body, response.text)

    run()
    assert success in seen


@pytest.mark.parametrize(("path", "success"), OPERATIONS)
def test_what_the_schemas_do_not_allow_is_refused(sandbox, tool, schema, path, success):
    operation = schema[path]["POST"]
    content = document()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    other_opinion = Draft202012Validator(content["schema"])
    seen = set()

    @_modest
    @given(case=operation.as_strategy(generation_mode=tool.GenerationMode.NEGATIVE))
    def run(case):
        response = case.call(base_url=sandbox.url, headers=HEADERS)
        seen.add(response.status_code)
        assert response.status_code < 500
        if response.status_code == success:  # only a header or the path was wrong, if at all
            assert other_opinion.is_valid(case.body), case.body

    run()
    assert 400 in seen


@pytest.mark.parametrize(("path", "success"), OPERATIONS)
def test_nothing_is_taken_without_a_credential(sandbox, tool, schema, path, success):
    operation = schema[path]["POST"]
    stored = len(sandbox.accepted)

    @settings(_modest, max_examples=4)
    @given(case=operation.as_strategy(generation_mode=tool.GenerationMode.POSITIVE))
    def run(case):
        case.headers = {}  # it invents credentials too
        response = case.call(base_url=sandbox.url)
        assert response.status_code == 401

    run()
    assert len(sandbox.accepted) == stored
