"""What a terminal is told of a job at one moment."""

from __future__ import annotations

import pytest

from backfill.cli.text import print_status
from backfill.core.model import Books, Fault, Stop, StopKind
from backfill.jobs.status import Phase, Status


@pytest.mark.parametrize(
    ("fault", "helps"),
    [
        (Fault.REFUSED, "--base-url"),
        (Fault.UNRESOLVED, "--base-url"),
        (Fault.PROXY, "NO_PROXY"),
        (Fault.TLS, "SSL_CERT_FILE"),
    ],
)
@pytest.mark.parametrize("in_message", [False, True])
def test_where_nobody_was_reached_it_says_what_to_look_at(capsys, fault, helps, in_message):
    words = f"{fault.value}: it answered 407"
    message = f"no request succeeded for 5 s ({words})" if in_message else "no luck"
    answers = () if in_message else ((words, 3),)
    stop = Stop(StopKind.UNAVAILABLE, message, None, answers)
    print_status(Status("a.job", "pristo-events", Phase.STOPPED, Books(1, pending=1), stop=stop))
    assert helps in capsys.readouterr().out
