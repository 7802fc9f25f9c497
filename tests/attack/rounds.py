"""One round: a random job over odd inputs, delivered in a few runs to a server with faults."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backfill.config import config_from_mapping
from backfill.core.errors import ConfigError
from backfill.core.secret import Secret
from backfill.jobs.opening import open_job, plan_job
from backfill.sandbox import running_sandbox
from tests.promises import check_job, sandbox_log
from tests.reference.configurations import random_job

__all__ = ["attack"]

_SECRET = "attack-5e2c1a90-credential"  # noqa: S105 - it opens nothing
_FAULTS = (
    *("429:0.05", "503:0.05", "500", "500-after", "502-after", "cut-after", "cut-before", "html"),
    *("half-reply", "wrong-length", "html-after", "bad-item", "not-ok", "408", "413"),
)
_HASTE: dict[str, Any] = {
    "rate": "2000/s",
    "concurrency": 6,
    "timeout": 5.0,
    "patience": 1.0,
    "max_errors": "100%",
}


def attack(place: Path, seed: int) -> str:
    """Play the round of a seed in an empty directory. Raises Finding."""
    chance = random.Random(seed)
    job = random_job(seed)
    job.write(place)
    config = config_from_mapping(_by_full_paths(job.config, place), directory=place)
    directory = place / "attacked.job"
    try:
        planned = plan_job(config, directory)
    except ConfigError:
        return "refused"
    if not planned.manifest.ready:
        return "nothing to send"
    share = chance.choice((0.0, 0.1, 0.3))
    kinds = [each for each in _FAULTS if each != "not-ok" or job.destination == "pristo-events"]

    def fault(arrival: object) -> str | None:
        return chance.choice(kinds) if chance.random() < share else None

    with running_sandbox(faults=fault, seed=seed) as server:
        for number in range(4):
            limit: dict[str, Any] = {"limit": chance.randint(1, 8)} if number < 2 else {}
            opened = open_job(directory)
            opened.run(
                observe=lambda _: None,
                credential=Secret(_SECRET),
                base_url=server.url,
                **_HASTE,
                **limit,
            )
            states = check_job(directory, sandbox_log(server, job.destination), secret=_SECRET)
            if not states["pending"]:
                break
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return f"{number + 1} runs: {told}"


def _by_full_paths(config: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """The configuration with its files where they lie, as no file of its own says where that is."""
    content = dict(config)
    for side in ("events", "contacts"):
        if side in content:
            names = content[side]["files"]
            names = [names] if isinstance(names, str) else names
            content[side] = {**content[side], "files": [str(place / name) for name in names]}
    return content
