"""What an object store keeps, and that only one of several puts what is new."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from backfill.core.errors import BackfillError, ConfigError, StorageError
from backfill.jobdir.object_storage import ObjectStorage
from backfill.sources import object_stores
from tests.file_server import running_file_server


def test_what_is_put_is_read_fetched_listed_and_removed(bucket, tmp_path) -> None:
    storage = ObjectStorage(f"{bucket}/some folder/pristo.job")
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"one")
    large.write_bytes(bytes(range(256)) * 80_000)  # in several pieces
    assert storage.read("ready/small") is None
    storage.put("ready/small", small)
    storage.put("ready/large", large)
    ObjectStorage(f"{bucket}/some folder/pristo.job2").put("ready/other", small)
    assert storage.read("ready/small") == b"one"
    storage.fetch("ready/large", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()
    assert sorted(storage.names("ready")) == ["ready/large", "ready/small"]
    small.write_bytes(b"two")
    storage.put("ready/small", small)
    assert storage.read("ready/small") == b"two"
    storage.remove(["ready/small", "ready/never"])
    assert storage.names("ready") == ["ready/large"]


def test_one_of_many_puts_what_is_new(bucket) -> None:
    def put(content: bytes) -> bytes | None:
        try:
            ObjectStorage(f"{bucket}/x.job").put_new("job.json", content)
        except FileExistsError:
            return None
        return content

    with ThreadPoolExecutor(8) as pool:
        put_by = [each for each in pool.map(put, (b"%d" % n for n in range(8))) if each]
    assert put_by == [ObjectStorage(f"{bucket}/x.job").read("job.json")]


def test_a_bucket_that_is_not_there_is_told(bucket, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    storage = ObjectStorage("s3://no-such-bucket-at-all/x")
    for put in (lambda: storage.put("x", tmp_path / "x"), lambda: storage.put_new("x", b"x")):
        with pytest.raises(ConfigError, match="there is no bucket 'no-such-bucket-at-all'"):
            put()


@pytest.mark.parametrize("address", ["s3:///x"])
def test_a_store_that_does_not_answer_as_asked_is_told(bucket, tmp_path: Path, address) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(BackfillError, match="object store") as caught:
        ObjectStorage(address).put("x", tmp_path / "x")
    assert caught.value.where is not None
    assert caught.value.where.startswith(address)
    assert "credentials in the environment" in str(caught.value)


def test_a_store_that_fails_is_away_and_one_that_says_no_is_not(
    bucket, tmp_path: Path, monkeypatch
) -> None:
    for name in ("init_backoff", "max_backoff"):
        monkeypatch.setitem(object_stores._WAITS, name, timedelta(milliseconds=1))
    with pytest.raises(BackfillError) as caught:
        ObjectStorage(f"{bucket}/x").fetch("never", tmp_path / "copy")
    assert not isinstance(caught.value, StorageError), "it is not there"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StorageError):
        ObjectStorage(f"{bucket}/x").fetch("never", tmp_path / "copy")
    with running_file_server() as server:
        server.files[f"/{bucket.removeprefix('s3://')}/x/never"] = b"records"
        server.status = 403
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        with pytest.raises(BackfillError) as caught:
            ObjectStorage(f"{bucket}/x").fetch("never", tmp_path / "copy")
    assert not isinstance(caught.value, StorageError), "it will say the same in a while"


def test_a_copy_that_cannot_be_written_is_no_fault_of_the_store(bucket, tmp_path: Path) -> None:
    """A full disk was told as a store that does not do what it is asked."""
    (tmp_path / "x").write_bytes(bytes(100_000))
    ObjectStorage(f"{bucket}/x").put("x", tmp_path / "x")
    with pytest.raises(OSError, match="No space left"):
        ObjectStorage(f"{bucket}/x").fetch("x", Path("/dev/full"))
