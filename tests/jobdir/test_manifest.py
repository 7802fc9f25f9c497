"""The manifest survives its file, and tells in words what it cannot read."""

from __future__ import annotations

import json

import pytest

from backfill.core.errors import JobError
from backfill.core.model import Lane
from backfill.jobdir.lock import locked
from backfill.jobdir.manifest import FORMAT, Bucket, Manifest


def a_manifest(**changes) -> Manifest:
    return Manifest(
        **{
            "backfill": "0",
            "polars": "0",
            "created": 1.0,
            "destination": "pristo-events",
            "shape": {"fields": {"type": "x"}},
            "shape_sha256": "00",
            "identity": ("contact.id",),
            "events": (),
            "columns": ("a", "b"),
            "input": 10,
            "rejected": 1,
            "duplicate": 2,
            "ready": 7,
            "buckets": (
                Bucket(file="000.parquet", rows=5, lanes=(2, 3)),
                Bucket(file="001.parquet", rows=2, lanes=(2,)),
            ),
            **changes,
        }
    )


def test_what_is_written_is_what_is_read(tmp_path):
    manifest = a_manifest()
    manifest.write(tmp_path)
    assert Manifest.read(tmp_path) == manifest


def test_lanes_are_contiguous_in_each_bucket():
    assert list(a_manifest().lanes()) == [
        Lane(0, 0, 0, 2), Lane(0, 1, 2, 5), Lane(1, 0, 0, 2),
    ]  # fmt: skip


def test_books_before_anything_is_sent():
    books = a_manifest().books
    assert books.balanced
    assert books.pending == 7


def test_a_directory_without_one_holds_no_job(tmp_path):
    with pytest.raises(JobError, match="no job here"):
        Manifest.read(tmp_path)


def test_a_job_that_is_being_planned_is_not_there_yet(tmp_path):
    with locked(tmp_path, "plan"), pytest.raises(JobError, match=r"yet: .*: backfill plan"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_one_is_refused_in_words(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(JobError, match=r"manifest\.json"):
        Manifest.read(tmp_path)


def test_one_of_another_format_names_both(tmp_path):
    a_manifest().write(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    with pytest.raises(JobError, match=f"format {FORMAT + 1}.*format {FORMAT}"):
        Manifest.read(tmp_path)


def test_one_of_the_first_format_is_read(tmp_path):
    a_manifest().write(tmp_path)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text())
    for bucket in content["buckets"]:
        del bucket["own"]  # which no version that wrote this format knew
    path.write_text(json.dumps({**content, "format": 1}))
    assert [bucket.own for bucket in Manifest.read(tmp_path).buckets] == [()] * len(
        a_manifest().buckets
    )


def test_a_missing_part_is_told(tmp_path):
    a_manifest().write(tmp_path)
    path = tmp_path / "manifest.json"
    content = json.loads(path.read_text())
    del content["ready"]
    path.write_text(json.dumps(content))
    with pytest.raises(JobError, match="damaged"):
        Manifest.read(tmp_path)
