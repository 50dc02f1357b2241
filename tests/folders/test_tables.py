"""Tables as spreadsheets and programs write them."""

import gzip
import json
import re

import pandas as pd
import pytest

from sweeper.errors import SweeperError, UsageError
from sweeper.folders import tables
from sweeper.folders.cells import OtherValue
from sweeper.folders.tables import is_table, read_table
from tests.hostile import within

ROWS = [["a.png", "cat, big"], ["007", "NA"]]


def written(separator, end="\n"):
    """The text of the table with this separator."""
    return end.join(
        separator.join(f'"{v}"' if separator in v else v for v in row) for row in [["image", "label"], *ROWS]
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", written(",").encode()),
        ("t.csv", b"\xef\xbb\xbf" + written(";", "\r\n").encode()),
        ("t.csv", b'"sep=;"\r\n' + written(";", "\r\n").encode()),
        ("t.csv", b"sep=;\n" + written(";").encode()),
        ("t.csv", written("|").encode()),
        ("t.tsv", written("\t").encode()),
        ("t.tsv", written("\t", "\r\n").encode("utf-16")),
        ("T.CSV", written(", ").encode()),
        ("t.csv.gz", gzip.compress(written(",").encode(), mtime=0)),
        ("t.jsonl", "\n".join(json.dumps({"image": a, "label": b}) for a, b in ROWS).encode()),
    ],
)
def test_table_is_read_as_text_whatever_its_form(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    rows, n_broken = read_table(tmp_path / name)
    assert (list(rows.columns), rows.values.tolist(), n_broken) == (["image", "label"], ROWS, 0)
    assert read_table(tmp_path / name, head=True)[0].equals(rows)
    assert is_table(name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            "image,label\na,café\n".encode("latin-1"),
            "a byte in line 2 that is not UTF-8; save ",
        ),
        ("t.csv", b"PK\3\4\0\0", "a spreadsheet or archive; save the sheet as CSV UTF-8"),
        ("t.csv", b"", "No columns"),
        ("t.csv.gz", b"\x1f\x8b\x08", "readable"),
        ("t.jsonl", b"[1]\n", "readable"),
        ("t.parquet", b"PAR1", "readable"),
        ("t.jsonl", b"[" * 200_000, "recursion"),
        ("t.jsonl", b'{"a":' * 200_000, "recursion"),
        ("t.csv", b"image,label" + b",x" * 100_000 + b"\na,b\n" * 10, "100,002 columns, more than 10,000"),
        ("t.csv", b"," * 1_000_000 + b"\n", "1,000,001 columns"),
        ("t.csv", b'\n"a\nb"' + b",c" * 20_000 + b"\nx", "20,001 columns"),
        ("t.jsonl", b"\n".join(b'{"%d": 1}' % n for n in range(10_001)), "10,001 columns"),
        ("t.csv", b"a" + b",a" * 9_000 + b"\na" * 20_000, "20,000 rows of 9,001 columns in a file of"),
        (
            "t.csv.gz",
            gzip.compress(b"image,label\n" + b"a,b\n" * 2_000_000, mtime=0),
            "200 times its own; unpack the table",
        ),
        ("t.csv.gz", gzip.compress(b"image,label\n" + b"\n" * 999_000, mtime=0), "999,001 rows in a file of 1,"),
    ],
)
def test_what_is_no_table_is_one_line_with_the_remedy(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with within(60), pytest.raises(SweeperError, match=re.escape(message)) as refused:
        read_table(tmp_path / name)
    assert "\n" not in str(refused.value)
    assert name in str(refused.value)


def test_parquet_of_encoded_images_is_refused_by_that_name(tmp_path):
    pd.DataFrame({"image": [{"bytes": b"\x89PNG", "path": None}], "label": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=r"the encoded images themselves, as Hugging Face's .* write them to files"):
        read_table(tmp_path / "t.parquet")


def test_table_that_expands_beyond_all_tables_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_BYTES", 1000)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a" * 2000))
    with pytest.raises(SweeperError, match="more than 1,000 bytes"):
        read_table(tmp_path / "t.csv.gz")
    (tmp_path / "t.csv").write_bytes(b"a" * 2000)
    with pytest.raises(SweeperError, match="more than 1,000 bytes"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("name", "encoding"), [("t.csv", "utf-8"), ("t.csv", "utf-16"), ("t.csv.gz", "utf-8")])
def test_beginning_of_a_large_table_is_whole_lines(tmp_path, monkeypatch, name, encoding):
    monkeypatch.setattr(tables, "HEAD_BYTES", 1001)
    content = ("image,label\n" + "é,ü\n" * 1000).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows, _ = read_table(tmp_path / name, head=True)
    assert 100 < len(rows) < 500
    assert set(rows["label"]) == {"ü"}


def test_beginning_of_a_table_that_expands_without_end_is_read_at_once(tmp_path):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"image,label\n" + b"a,b\n" * 2_000_000))
    with within(60):
        assert len(read_table(tmp_path / "t.csv.gz", head=True)[0]) == 20_000


def test_list_in_a_line_of_json_is_no_text(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"image": "a.png", "label": ["x"], "n": 1}\n')
    assert read_table(tmp_path / "t.jsonl")[0].values.tolist() == [["a.png", OtherValue("a list"), "1"]]
