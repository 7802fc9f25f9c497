"""What every test may count on."""

from __future__ import annotations

import os
import signal
import tempfile

# What programs of the user share on a machine, tests share with nobody.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="backfill-state-")

# Whoever starts the tests in the background of a script, or under `nohup`, has these ignored here
# and in every process that a test starts; tests of Ctrl-C and of lost terminals need them heard.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)
