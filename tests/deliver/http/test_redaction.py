"""A server that quotes our credential does not get it into anything that is written down."""

from __future__ import annotations

import json

import pytest

from backfill.core.model import Reply, Secret
from backfill.deliver.http.redaction import Redaction

KEY = "c0ffee00-5ec2-4e7a-9bad-0123456789ab"
TOKEN = 'sk_live/"A+b'  # noqa: S105 - an invented one


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(each):04X}" for each in text)


def percent(text: str) -> str:
    return "".join(f"%{ord(each):02X}" for each in text)


def entities(text: str) -> str:
    return "".join(f"&#{ord(each)};" for each in text)


def hexadecimal(text: str) -> str:
    return "".join(f"&#x{ord(each):04X};" for each in text)


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize(
    "written",
    [str, str.upper, str.lower, escaped, percent, entities, hexadecimal, json.dumps],
)
def test_the_credential_is_hidden_however_it_is_written(secret, written):
    quoted = written(secret)
    reply = Reply(401, {"location": f"/login?key={quoted}"}, f"<b>no {quoted} here</b>".encode())
    clean = Redaction(Secret(secret)).redact(reply)
    assert clean.status == 401
    hidden = '"***"' if written is json.dumps else "***"
    assert clean.headers == {"location": f"/login?key={hidden}"}
    assert clean.body == f"<b>no {hidden} here</b>".encode()


def test_a_slash_that_json_escapes_is_known():
    clean = Redaction(Secret("abcd/efgh")).redact(Reply(400, {}, rb'"abcd\/efgh"'))
    assert clean.body == b'"***"'


def test_the_credential_is_hidden_where_headers_alone_quote_it():
    reply = Reply(302, {"server": "x", "location": f"/login?key={KEY}"}, b"moved")
    clean = Redaction(Secret(KEY)).redact(reply)
    assert clean == Reply(302, {"server": "x", "location": "/login?key=***"}, b"moved")


@pytest.mark.parametrize(("secret", "body"), [("eight-88", b"no ***"), ("seven-7", b"no seven-7")])
def test_a_credential_has_eight_characters_to_be_told_from_a_word(secret, body):
    assert Redaction(Secret(secret)).redact(Reply(401, {}, b"no " + secret.encode())).body == body


def test_a_reply_without_the_credential_is_left_alone():
    reply = Reply(200, {"x": "ÿ"}, b'{"status":"success","request_id":"\xff"}')
    assert Redaction(Secret(KEY)).redact(reply) is reply


def test_a_credential_that_may_be_a_part_of_any_word_changes_no_reply():
    reply = Reply(200, {}, b'{"status":"success"}')
    assert Redaction(Secret("success")).redact(reply) is reply
