"""Where a credential goes, tried in whole runs: to the address as it is read, and no further."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS, backfill
from tests.acceptance.sources import pristo_job
from tests.acceptance.wire import wire
from tests.deliver.servers import SELF_SIGNED

TRICKS = [
    "http://localhost.example.com:{port}",
    "http://127.0.0.1.nip.io:{port}",
    "http://127.0.0.1.:{port}",
    "http://localhost.:{port}",
    "http://2130706433:{port}",
    "http://0x7f000001:{port}",
    "http://0177.0.0.1:{port}",
    "http://127.1:{port}",
    "http://0.0.0.0:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://[::]:{port}",
    "http://127.0.0.1:{port}@evil.example.com",
    "http://evil.example.com@127.0.0.1:{port}",
    "http://user:word@127.0.0.1:{port}",
    "http://127.0.0.1:{port}\\@evil.example.com",
    "http://127.0.0.1:{port}#@evil.example.com",
    "http://127.0.0.1:{port}?x=@evil.example.com",
    "http://evil.example.com:{port}/127.0.0.1",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{port}",
    "http://127\u30020\u30020\u30021:{port}",
    "http://\uff11\uff12\uff17.0.0.1:{port}",
    "http://localhost\u200b:{port}",
    "http://xn--localhost-:{port}",
    "http://127.0.0.1:{port}/\r\nX-Evil: 1",
    "http://127.0.0.1:{port}/ HTTP/1.1\r\nX-Evil: 1",
    "http://127.0.0.1:{port}/%0d%0aX-Evil:1",
    "http:\\\\127.0.0.1:{port}",
    "http:127.0.0.1:{port}",
    "ftp://127.0.0.1:{port}",
    "unix:///tmp/socket",
    "file:///etc/passwd",
    "127.0.0.1:{port}",
    "",
]
HARMLESS = {"http://127.0.0.1:{port}/%0d%0aX-Evil:1"}  # a path, and it stays one


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("planned")
    config = pristo_job(place, 2)
    backfill("plan", config, cwd=place, expect=[0])
    return config


@pytest.mark.parametrize("where", ["option", "file"])
def test_tricks_in_an_address_send_nothing_anywhere(tmp_path, where):
    """All in one process each, as the program would be asked by a script."""
    from backfill.config import load_config
    from backfill.core.errors import ConfigError
    from backfill.core.secret import Secret
    from backfill.jobs.opening import plan_job

    plain = pristo_job(tmp_path, 2).read_text(encoding="utf-8")
    with wire() as server:
        port = server.url.rpartition(":")[2]
        for number, trick in enumerate(TRICKS):
            address = trick.format(port=port)
            config = tmp_path / f"{number}.toml"
            line = f"base_url = {json.dumps(address)}\n" if where == "file" else ""
            config.write_text(plain + line, encoding="utf-8")
            changes: dict[str, Any] = {"base_url": address} if where == "option" else {}
            if trick in HARMLESS or (trick == "" and where == "option"):
                continue
            with pytest.raises(ConfigError) as raised:
                plan_job(load_config(config), tmp_path / f"{number}.job").run(
                    credential=Secret("invented-key"), observe=lambda _: None, **changes
                )
            assert "invented-key" not in str(raised.value)
            assert raised.value.exit_code == 2, trick
        assert server.requests == []


@pytest.mark.parametrize(
    "population",
    ["../../admin", "x\r\nX-Evil: 1", "00000000-0000-4000-8000-00000000000\u0661", "?"],
)
def test_a_population_is_an_id_and_no_piece_of_an_address(tmp_path, population):
    config = pristo_job(tmp_path, 2)
    text = config.read_text(encoding="utf-8")
    right = '"00000000-0000-4000-8000-000000000000"'
    config.write_text(text.replace(right, json.dumps(population)), encoding="utf-8")
    with wire() as server:
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[2])
        assert server.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_end_and_the_other_place_hears_nothing(planned, status):
    with wire() as elsewhere, wire() as server:
        head = f"Location: {elsewhere.url}/v1/events\r\n".encode()
        server.answers = itertools.repeat((status, head, b""))
        ended = backfill("run", planned, "--base-url", server.url, cwd=planned.parent, expect=[6])
        assert len(server.requests) == 1
        assert elsewhere.requests == []
    assert "base_url" in ended.err + ended.out


def test_a_certificate_that_nobody_vouches_for_is_no_server(planned):
    """Neither does any setting of the environment that other programs know turn that off."""
    import ssl
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(dict(self.headers))

        def log_message(self, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        ended = backfill(
            "run", planned, "--job", planned.parent / "tls.job", "--yes",
            "--base-url", f"https://localhost:{server.server_address[1]}",
            "--max-duration", "1s", "--json", cwd=planned.parent, expect=[7, 8],
            PYTHONHTTPSVERIFY="0", CURL_CA_BUNDLE="", REQUESTS_CA_BUNDLE="",
        )  # fmt: skip
        server.shutdown()
        thread.join()
    assert heard == []
    assert ended.json["records"]["unknown"] == 0
    assert ended.json["records"]["pending"] == 2


def test_no_proxy_hears_of_a_run(planned):
    with wire() as proxy, wire() as server:
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        environment: dict[str, Any] = dict.fromkeys(names, proxy.url)
        run = ["run", planned, "--base-url", server.url, "--limit", "1"]
        backfill(*map(str, run), cwd=planned.parent, expect=[0, 8], **environment)
        assert proxy.requests == []
        assert len(server.requests) == 1


def test_a_source_behind_an_address_never_hears_of_the_credential(tmp_path):
    body = b"id,email,at\n00000000-0000-4000-8000-000000000001,a@example.com,2025-01-01T00:00:00Z\n"
    config = tmp_path / "remote.toml"
    with wire() as source, wire() as server:
        source.answers = itertools.cycle([(200, b"", body), (200, b"", gzip.compress(body))])
        config.write_text(
            f"""
destination = "pristo-events"
population = "00000000-0000-4000-8000-000000000000"
[events]
files = ["{source.url}/e.csv", "{source.url}/e.csv.gz"]
time = "at"
[fields]
"contact.id" = "id"
"contact.email" = "email"
type = {{ value = "signup" }}
""",
            encoding="utf-8",
        )
        backfill("run", config, "--base-url", server.url, cwd=tmp_path, expect=[0])
        assert len(server.requests) == 1  # the other one is a duplicate
        asked = [(request.line, request.headers) for request in source.requests]
    assert len(asked) >= 2
    for secret in CREDENTIALS.values():
        for form in (secret, base64.b64encode(secret.encode()).decode()):
            assert form not in str(asked)
    names = {name.lower() for _, headers in asked for name, _ in headers}
    assert not names & {"authorization", "x-api-key", "cookie", "proxy-authorization"}


def test_the_sandbox_listens_on_this_machine_alone():
    with running_sandbox() as server:
        assert server.url.startswith("http://127.0.0.1:")
