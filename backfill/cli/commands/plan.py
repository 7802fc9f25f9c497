"""`backfill plan`."""

from __future__ import annotations

from pathlib import Path

import click

from backfill.cli.options import TypedPath, as_json, config_argument, job_option, on_option, quiet

__all__ = ["plan"]


@click.command(
    epilog="\b\nExample:\n  backfill plan pristo.toml",
    short_help="Prepare a job without any network, and tell what it would send.",
)
@config_argument
@job_option
@click.option(
    "--rest-of",
    metavar="JOB",
    type=TypedPath(),
    help="Plan the rows that JOB has not delivered; JOB is abandoned.",
)
@on_option
@as_json
@quiet
def plan(
    config: str, *, job: str | None, rest_of: str | None, on: str | None, as_json: bool, quiet: bool
) -> None:
    """Prepare a job without any network.

    Reads the files that CONFIG names, checks every row, and tells how many records are ready,
    which rules were broken how often, what a body looks like, and how long sending takes.

    With --rest-of only the rows are planned that JOB, a job of the same files, has not delivered:
    told by file and row, so the mapping may be another one. What is unknown in JOB stays with it.
    Without --job this one lies in CONFIG without its ending plus .job, or -rest.job where that is
    taken.

    With --on several processes or machines share the work, and the job is the same. They need
    the extra "cluster", and see the sources and the job's directory at the same path.
    """
    from backfill.cli.plan_text import print_plan  # noqa: PLC0415 - `--help` answers without
    from backfill.cli.text import print_json, print_status  # noqa: PLC0415
    from backfill.config import load_config  # noqa: PLC0415
    from backfill.jobdir.job_paths import job_directory  # noqa: PLC0415
    from backfill.jobs.chain.rest import directory_for_rest  # noqa: PLC0415
    from backfill.jobs.opening import plan_job  # noqa: PLC0415
    from backfill.progress.progress import PlanBar  # noqa: PLC0415

    loaded = load_config(config)
    directory = job_directory(config, job)
    if rest_of is not None and job is None:
        directory = directory_for_rest(Path(config), job_directory(rest_of))
    with PlanBar(quiet=quiet, lines=True) as bar:
        planned = plan_job(loaded, directory, rest_of=rest_of, on=on, progress=bar)
    status = planned.status()
    if as_json:
        facts = planned.manifest.facts.model_dump(mode="json")
        print_json({**status.as_dict(), "exit_code": 0, "plan": facts})
        return
    print_plan(planned.manifest, planned.destination, planned.settings({}))
    print_status(status, reasons=False)
