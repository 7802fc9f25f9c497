"""What every test may count on."""

from __future__ import annotations

import signal

# Whoever starts the tests in the background of a script has SIGINT ignored, here and in every
# process that a test starts; tests of Ctrl-C need one that is heard.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
