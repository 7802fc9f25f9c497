"""What a program that imports the library may rely on: names, types, and being left alone."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import backfill
from backfill.sandbox import running_sandbox
from tests.acceptance.program import CREDENTIALS
from tests.acceptance.sources import pristo_job

PROBE = """
import asyncio, locale, logging, os, signal, sys, threading, warnings

def state():
    def logger(name):
        found = logging.getLogger(name)
        return (found.level, list(found.handlers), found.propagate, list(found.filters))
    mask = os.umask(0o22)
    os.umask(mask)
    return {{
        "signals": {{number: signal.getsignal(number) for number in signal.valid_signals()}},
        "wakeup": signal.set_wakeup_fd(-1),
        "logging": [logger(name) for name in (None, "backfill", "backfill.jobs.job", "asyncio")],
        "disabled": logging.root.manager.disable,
        "raise": logging.raiseExceptions,
        "umask": mask,
        "warnings": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": (sys.excepthook, threading.excepthook, sys.unraisablehook, sys.breakpointhook),
        "policy": asyncio._get_event_loop_policy() if hasattr(asyncio, "_get_event_loop_policy")
        else asyncio.get_event_loop_policy().__class__,
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "recursion": sys.getrecursionlimit(),
    }}

import polars, tqdm  # theirs is not ours
before = state()
import backfill
job = backfill.plan({config!r})
job.run(base_url={url!r})
asyncio.run(job.run_async(base_url={url!r}))
job.records(); job.report(); repr(job); job._repr_html_(); job.status()._repr_html_()
after = state()
changed = [name for name in before if before[name] != after[name]]
print(changed, [each.name for each in threading.enumerate() if each.name.startswith("backfill")])
"""


def test_the_public_names_are_the_agreed_ones():
    assert backfill.__all__ == [
        "BackfillError",
        "Job",
        "Status",
        "__version__",
        "explain",
        "init",
        "open_job",
        "plan",
    ]
    assert backfill.__all__ == sorted(backfill.__all__)
    for name in backfill.__all__:
        assert getattr(backfill, name) is not None
    assert dir(backfill) == backfill.__all__
    assert backfill.__version__ == distribution("backfill").version


def test_a_wrong_name_is_an_attribute_error():
    assert not hasattr(backfill, "plans")


def test_a_client_is_typed():
    """What its names come to is in `typed_client.py`, which mypy checks with all other files."""
    assert (Path(backfill.__file__).parent / "py.typed").exists()


def test_a_process_is_left_as_it_was(tmp_path):
    config = pristo_job(tmp_path, 50)
    with running_sandbox() as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c",
             PROBE.format(config=str(config), url=server.url)],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **CREDENTIALS},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[] []\n"
