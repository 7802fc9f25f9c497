"""Bytes come hashed, unpacked and in UTF-8; what is wrong in them stays visible."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import random
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backfill.core.errors import SourceError
from backfill.sources.formats.byte_streams import INVALID, mark_invalid, open_stream
from backfill.sources.locations import Compression, Location


@given(st.text(), st.binary(max_size=20))
def test_marking_changes_nothing_but_what_is_no_text(text, wrong):
    assert mark_invalid(text.encode()) == text.encode()
    marked = mark_invalid(wrong)
    assert marked.replace(INVALID, b"").decode() == wrong.decode(errors="backslashreplace")
    assert (INVALID in marked) == ("\ufffd" in wrong.decode(errors="replace"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("streams") / "text"


def located(path: Path, compression: Compression | None = None) -> Location:
    return Location(path.name, str(path), "csv", compression=compression)


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(min_size=1, max_size=40).filter(lambda text: text[0] != "\ufeff"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
    packed=st.booleans(),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_text_is_the_same_in_whatever_steps_it_is_read(path, text, encoding, packed, sizes):
    content = text.encode(encoding)
    path.write_bytes(gzip.compress(content) if packed else content)
    with open_stream(
        path,
        located(path, "gzip" if packed else None),
        encoding="utf-8" if encoding == "utf-8-sig" else encoding,
        hashed=True,
    ) as stream:
        read = b""
        while step := stream.read(sizes[len(read) % len(sizes)]):
            read += step
        assert read == text.encode()
        assert stream.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert stream.raw_count == path.stat().st_size


def test_the_hash_covers_what_was_not_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(os.urandom(3 << 20))
    before = threading.active_count()
    with open_stream(path, located(path), encoding="latin-1", hashed=True) as stream:
        assert len(stream.read(10)) == 10
        assert stream.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
    with open_stream(path, located(path), hashed=True) as stream:
        stream.read(10)  # and no hash asked for, as after an error
    assert threading.active_count() == before


def test_a_directory_or_a_missing_file_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with (
            pytest.raises(SourceError, match="cannot be opened") as raised,
            open_stream(path, located(path)),
        ):
            pass
        assert raised.value.where == path.name


def archived(kind: str) -> bytes:
    """A CSV in an archive."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.csv", "a,b\n")
    else:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.csv"))
    return file.getvalue()


ZSTD = b"\x28\xb5\x2f\xfd\x04\x00"
SHEET = "save the sheet as CSV"


@pytest.mark.parametrize(
    ("name", "content", "what", "hint"),
    [
        ("a.csv", gzip.compress(b"a\n", mtime=0), "is packed by gzip", "Name it 'a.csv.gz'."),
        ("a.csv", ZSTD, "is packed by zstd", "Name it 'a.csv.zst'."),
        ("a.csv.gz", ZSTD, "is packed by zstd", "Name it 'a.csv.zst'."),
        ("a.csv.gz", b"a,b\n", "is not gzip", "name it 'a.csv'"),
        ("a.csv", bz2.compress(b"a\n"), "is packed by bzip2", "Unpack it first"),
        ("a.csv.bz2", bz2.compress(b""), "is packed by bzip2", "Unpack it first"),
        ("a.csv", lzma.compress(b"a\n"), "is packed by xz", "Unpack it first"),
        ("a.csv", archived("zip"), "a ZIP archive or a spreadsheet", "save a spreadsheet as CSV"),
        ("a.csv.gz", archived("zip"), "a ZIP archive or a spreadsheet", "Unpack an archive first"),
        ("a.zip", archived("zip"), "is a ZIP archive, which", "Unpack it first"),
        ("a.xlsx", archived("zip"), "is an Excel workbook", SHEET),
        ("a.ods", archived("zip"), "is a spreadsheet", SHEET),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook", SHEET),
        ("a.csv", archived("tar"), "is a tar archive", "Unpack it first"),
        ("a.csv", b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "Unpack it first"),
        ("a.csv", b"PAR1\x15\x00", "is Parquet", '`format = "parquet"`'),
        ("a.csv", b"<!DOCTYPE html><html><body>Sign in", "is a page of HTML", "login page"),
        ("a.csv", b"\xef\xbb\xbf\r\n <HTML>", "is a page of HTML", "fetch the data again"),
        ("a.csv", b"%PDF-1.7\n%", "is a PDF", "export the data as CSV"),
        ("a.csv", b"SQLite format 3\x00", "is an SQLite database", "Write it as CSV"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",  # what is packed bears the hour
)
def test_a_file_that_is_no_text_is_named_for_what_it_is_with_what_to_do(
    tmp_path, name, content, what, hint
):
    path = tmp_path / name
    path.write_bytes(content)
    place = located(path, "gzip" if name.endswith(".gz") else None)
    with pytest.raises(SourceError) as raised, open_stream(path, place):
        pass
    assert raised.value.where == name
    assert what in raised.value.message
    assert hint in (raised.value.hint or "")


@pytest.mark.parametrize("cut", [slice(0, -9), slice(0, 40)])
def test_a_packed_file_that_is_cut_short_is_to_be_fetched_again(tmp_path, cut):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(2000))[cut])
    with pytest.raises(SourceError) as raised, open_stream(path, located(path, "gzip")) as stream:
        stream.read(10_000)
    assert "fetch or copy it again" in str(raised.value)


@pytest.mark.parametrize("text", [b"BZh,b\n", b"PK,b\n", b"ORC,b\n", b"ARROW1,b\n", b"<html,b\n"])
def test_a_header_that_begins_like_another_format_is_text(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with open_stream(path, located(path)) as stream:
        assert stream.read(100) == text


def test_half_a_surrogate_pair_that_an_encoding_lets_pass_is_marked(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a+2AA-b")
    with open_stream(path, located(path), encoding="utf-7") as stream:
        assert stream.read(100) == b"a" + INVALID + rb"\ud800" + b"b"
