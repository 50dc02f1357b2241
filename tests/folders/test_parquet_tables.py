"""Tables of Parquet as pandas and other programs write them."""

import decimal

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from sweeper.errors import SweeperError
from sweeper.folders.cells import OtherValue
from sweeper.folders.tables import read_table
from tests.hostile import within

PLAIN = pa.table({"image": ["a.png", "b.png"], "label": ["x", "y"]})


def read(folder, table, **options):
    parquet.write_table(table, folder / "t.parquet")
    return read_table(folder / "t.parquet", **options)[0]


def labels(folder, values, kind=None):
    return read(folder, pa.table({"label": pa.array(values, kind)}))["label"].tolist()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["x", None], None, ["x", None]),
        (["x", "x", None], pa.large_string(), ["x", "x", None]),
        (["x", None], pa.string_view(), ["x", None]),
        (["x", "y", "x", None], pa.dictionary(pa.int8(), pa.string()), ["x", "y", "x", None]),
        ([b"x", None, "é".encode()], pa.binary(), ["x", None, "é"]),
        ([0, None, 1], pa.int64(), ["0", None, "1"]),
        ([2**63], pa.uint64(), ["9223372036854775808"]),
        ([0.0, None, 1.0], pa.float64(), ["0", None, "1"]),
        ([0.0, 1.0], pa.float64(), ["0.0", "1.0"]),
        ([True, False], None, ["True", "False"]),
        ([decimal.Decimal(7)], pa.decimal128(3, 0), ["7"]),
        ([None, None], pa.null(), [None, None]),
        ([b"x", b"\xff"], None, ["x", OtherValue("bytes that are no text")]),
        ([["x"], None], None, [OtherValue("list<element: string>")] * 2),
        ([[("k", "v")]], pa.map_(pa.string(), pa.string()), [OtherValue("map<string, string ('t')>")]),
        ([0], pa.date32(), [OtherValue("date32[day]")]),
    ],
)
def test_text_numbers_and_booleans_are_read_as_text_and_nothing_else_is(tmp_path, values, kind, expected):
    found = labels(tmp_path, values, kind)
    if pa.types.is_nested(pa.array(values, kind).type):
        assert [type(value) for value in found] == [OtherValue] * len(values)
    else:
        assert found == expected


def test_names_of_columns_need_not_be_text_in_pandas(tmp_path):
    pd.DataFrame({0: ["a.png"], 1: ["x"]}).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")[0].to_dict("records") == [{"0": "a.png", "1": "x"}]
    pd.DataFrame([["a.png"]], columns=pd.MultiIndex.from_tuples([("a", "b")])).to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")[0].values.tolist() == [["a.png"]]


def test_index_of_pandas_is_no_column(tmp_path):
    frame = pd.DataFrame({"image": ["a.png"], "label": ["x"]}, index=pd.Index([7], name="id"))
    frame.to_parquet(tmp_path / "t.parquet")
    assert list(read_table(tmp_path / "t.parquet")[0].columns) == ["image", "label"]


@pytest.mark.parametrize(
    "metadata",
    [b"[]", b"{", b'{"columns": [{"name": "image"}]}', b'{"index_columns": ["gone", {"kind": 1}]}', b"[" * 100_000],
)
def test_what_pandas_keeps_beside_the_table_may_be_anything(tmp_path, metadata):
    rows = read(tmp_path, PLAIN.replace_schema_metadata({b"pandas": metadata}))
    assert rows.values.tolist() == [["a.png", "x"], ["b.png", "y"]]


def test_two_columns_of_one_name_are_one_line(tmp_path):
    with pytest.raises(SweeperError, match=r"a table of labels must be readable, got: .*label"):
        read(tmp_path, pa.table([["a"], ["b"]], names=["label", "label"]))


def test_more_rows_than_bytes_are_refused_before_they_are_read(tmp_path):
    table = pa.table({"image": ["a.png"] * 1_000_000, "label": ["x"] * 1_000_000})
    with within(60), pytest.raises(SweeperError, match=r"got: 1,000,000 rows in a file of .* bytes, too few"):
        read(tmp_path, table)
    assert len(read_table(tmp_path / "t.parquet", head=True)[0]) == 20_000


def test_only_the_first_rows_are_decoded_for_the_beginning(tmp_path, monkeypatch):
    decoded = []

    class Counted(parquet.ParquetFile):
        def iter_batches(self, *arguments, **options):
            for batch in super().iter_batches(*arguments, **options):
                decoded.append(len(batch))
                yield batch

    monkeypatch.setattr(parquet, "ParquetFile", Counted)
    names = [f"{n}.png" for n in range(50_000)]
    assert read(tmp_path, pa.table({"image": names}), head=True)["image"].tolist() == names[:20_000]
    assert decoded == [20_000]


def test_table_without_rows_has_columns(tmp_path):
    table = pa.table({"a.b": pa.array([], pa.string()), "tags": pa.array([], pa.list_(pa.string()))})
    for head in (False, True):
        assert list(read(tmp_path, table, head=head).columns) == ["a.b", "tags"]


def test_dots_in_names_of_columns_are_no_path(tmp_path):
    table = pa.table({"a.b": ["x", "y"], "a": [{"b": 1}, {"b": 2}]})
    for head in (False, True):
        rows = read(tmp_path, table, head=head)
        assert rows["a.b"].tolist() == ["x", "y"]
        assert {type(value) for value in rows["a"]} == {OtherValue}


def test_long_text_that_is_repeated_takes_the_memory_of_one(tmp_path):
    found = read(tmp_path, pa.table({"image": ["a" * 1_000_000] * 100}))["image"]
    assert len({id(value) for value in found}) == 1
