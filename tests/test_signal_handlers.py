"""No test changes what later tests of its process hear."""

from __future__ import annotations

import signal

import pytest

from tests.signal_handlers import unchanged_signal_handlers


def test_a_handler_that_is_left_behind_is_named_and_put_back():
    before = signal.getsignal(signal.SIGUSR2)
    with (
        pytest.raises(AssertionError, match=r"left with another handler: SIGUSR2 \(.* became"),
        unchanged_signal_handlers(),
    ):
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGUSR2) == before


def test_a_handler_that_is_put_back_is_no_fault():
    with unchanged_signal_handlers():
        before = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
        signal.signal(signal.SIGUSR2, before)


def test_every_test_is_watched(request):
    assert "_signal_handlers" in request.fixturenames
