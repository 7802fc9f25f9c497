"""A server that quotes our credential does not get it into anything that is written down."""

from __future__ import annotations

import base64
import html
import json
from functools import cache
from urllib.parse import quote, unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backfill.core.model import Reply
from backfill.core.secret import Secret
from backfill.deliver.http.redaction import Redaction
from backfill.deliver.http.response_reader import read_reply
from backfill.destinations import destination

KEY = "c0ffee00-5ec2-4e7a-9bad-0123456789ab"
TOKEN = 'sk_live/"A+b'  # noqa: S105 - an invented one


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(each):04X}" for each in text)


def percent(text: str) -> str:
    return "".join(f"%{ord(each):02X}" for each in text)


def entities(text: str) -> str:
    return "".join(f"&#{ord(each)};" for each in text)


def twice_escaped(text: str) -> str:
    return json.dumps(escaped(text))[1:-1]


def twice_quoted(text: str) -> str:
    return quote(percent(text), safe="")


def twice_entities(text: str) -> str:
    return html.escape(entities(text))


def hexadecimal(text: str) -> str:
    return "".join(f"&#x{ord(each):04X};" for each in text)


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize(
    "written",
    [
        *(str, str.upper, str.lower, escaped, percent, entities, hexadecimal, json.dumps),
        *(html.escape, twice_escaped, twice_quoted, twice_entities),
    ],
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


@pytest.mark.parametrize(
    "body",
    [
        rb'{"ok":true,"raw":"{\"id\":\"1\",\"path\":\"\/v1\"}"}',
        b"<p>5 &lt; 6 &amp;amp; 7 &UnderBar; &nothing; 100% of c0ffee00%2D</p>",
        b"c\x000\x00f\x00f\x00e\x00e\x000\x000\x00",
    ],
)
def test_escapes_of_something_else_are_left_alone(body):
    reply = Reply(201, {"report-to": r'{"url":"https:\/\/a.example\/v4?s=a%2Bb%252F"}'}, body)
    assert Redaction(Secret(KEY)).redact(reply) is reply


def bytes_of_python(text: str) -> str:
    return "".join(f"\\x{ord(each):02x}" for each in text)


def three_times_json(text: str) -> str:
    return json.dumps(twice_escaped(text))[1:-1]


@pytest.mark.parametrize("secret", [KEY, TOKEN])
@pytest.mark.parametrize("written", [str.lower, str.upper])
def test_the_credential_is_hidden_in_hexadecimal(secret, written):
    quoted = written(secret.encode().hex())
    clean = Redaction(Secret(secret)).redact(Reply(400, {}, f"no {quoted}!".encode()))
    assert clean.body == b"no ***!"


WAYS = (
    *(str, str.upper, str.lower, escaped, percent, entities, hexadecimal),
    *(bytes_of_python, three_times_json, lambda each: f"&#{ord(each)}"),
    *(twice_escaped, twice_quoted, twice_entities, lambda each: each + "\x00"),
    lambda each: "&UnderBar;" if each == "_" else each,
)


@given(st.lists(st.sampled_from(WAYS), min_size=len(TOKEN), max_size=len(TOKEN)), st.booleans())
def test_each_character_may_be_written_in_another_way(ways, in_header):
    quoted = "".join(way(each) for way, each in zip(ways, TOKEN, strict=True))
    body, header = (b"no", f"no {quoted}!") if in_header else (f"no {quoted}!".encode(), "no")
    clean = Redaction(Secret(TOKEN)).redact(Reply(400, {"x": header}, body))
    assert "no ***!" in (clean.headers["x"], clean.body.decode())


def test_a_credential_that_may_be_a_part_of_any_word_changes_no_reply():
    reply = Reply(200, {}, b'{"status":"success"}')
    assert Redaction(Secret("success")).redact(reply) is reply


@pytest.mark.parametrize("secret", [KEY, TOKEN, "???>>>~~~~ab"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "me:", "Bearer "])
@pytest.mark.parametrize("after", ["", ":", "\n\n"])
def test_the_credential_is_hidden_in_base64_wherever_it_stands(secret, encode, before, after):
    quoted = encode((before + secret + after).encode())
    clean = Redaction(Secret(secret)).redact(Reply(400, {"x": quoted.decode()}, quoted))
    assert b"***" in clean.body
    # What is left holds what stands around it, and two characters of the credential at most.
    assert len(clean.body.replace(b"***", b"").rstrip(b"=")) <= len(before + after) * 2 + 5
    assert clean.headers["x"] == clean.body.decode()


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    *(f"utf-{bits}{end}" for bits in (16, 32) for end in ("", "-le", "-be")),
]
SHAPES = {
    "nested": '{"error":{"code":"c","message":"no QUOTED here"},"request_id":"QUOTED"}',
    "flat": '{"code":"QUOTED","message":"no QUOTED here","type":"t","request_id":"QUOTED"}',
    "details": '{"details":[{"path":"events.0.QUOTED","message":"QUOTED"}]}',
    "success": '{"status":"success","request_id":"QUOTED"}',
    "not ok": '{"ok":false,"status":400,"statusText":"QUOTED","raw":""}',
    "list": '["QUOTED"]',
    "html": "<h1>" + " " * 470 + "QUOTED</h1>",
    "bare": "QUOTED",
}


@cache
def readings(text: str) -> set[str]:
    """A text as one could still read it who wants to."""
    found = {text.replace("\N{REPLACEMENT CHARACTER}", "").replace("\x00", "").replace(" ", "")}
    for _ in range(2):
        found |= {unquote(each) for each in found} | {html.unescape(each) for each in found}
        found |= {each.replace("\\u00", "%").replace("\\", "") for each in found}
    return {each.lower() for each in found}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", ["watch-events", "pristo-events"])
async def test_no_verdict_quotes_it_in_whatever_encoding_it_came(name, encoding):
    """Whole bodies of an encoding, and pieces of one inside an ASCII page."""
    api = destination(name)
    redaction = Redaction(Secret(TOKEN))
    writings = (str, str.upper, escaped, twice_escaped, percent, entities, twice_entities)
    for shape in SHAPES.values():
        for written in writings:
            quoted = written(TOKEN)
            if written in (str, str.upper) and shape.startswith(("{", "[")):
                quoted = json.dumps(quoted)[1:-1]
            for body in (
                shape.replace("QUOTED", quoted).encode(encoding),
                shape.encode().replace(b"QUOTED", quoted.encode(encoding)),
            ):
                for status in (200, 201, 400, 401, 403, 422, 429, 500, 503):
                    reply = redaction.redact(await read_reply(httpx.Response(status, content=body)))
                    verdict = api.verdict(reply, 1)
                    words = [verdict.reason, verdict.request_id or "", *verdict.bad.values()]
                    for text in words:
                        shown = readings(text)
                        assert not any(TOKEN[4:].lower() in each for each in shown), (body, text)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_the_rest_of_the_words_is_kept(encoding):
    body = SHAPES["nested"].replace("QUOTED", KEY).encode(encoding)
    reply = Redaction(Secret(KEY)).redact(await read_reply(httpx.Response(400, content=body)))
    assert destination("pristo-events").verdict(reply, 1).reason == "c: no *** here"


@pytest.mark.parametrize("written", [str, escaped, percent, entities, twice_escaped])
def test_words_of_the_program_are_without_it_too(written):
    hidden = Redaction(Secret(KEY)).hide(f"KeyError: the caf\u00e9 has {written(KEY)}")
    assert hidden == "KeyError: the caf\u00e9 has ***"


def test_a_short_one_is_hidden_where_it_stands_plainly():
    assert Redaction(Secret("abc")).hide("ValueError: abc") == "ValueError: ***"
