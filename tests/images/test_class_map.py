import re
import time

import pytest

from sweeper.errors import UsageError
from sweeper.images.class_map import read_map


def read(path, text):
    path.write_text(text, encoding="utf-8")
    return read_map(path)


def test_each_line_is_a_class_with_one_or_more_old_names_in_the_order_of_the_file(tmp_path):
    text = '"T-shirt/top" = ["Tshirts", "Tops"]\nTrouser = "Trousers"\n"a, b.c" = ["x"]\n'
    expected = (("T-shirt/top", ("Tshirts", "Tops")), ("Trouser", ("Trousers",)), ("a, b.c", ("x",)))
    assert read(tmp_path / "map.toml", text) == expected
    assert read(tmp_path / "map.toml", "\ufeff" + text) == expected


def test_names_are_composed(tmp_path):
    assert read(tmp_path / "map.toml", '"e\u0301" = "u\u0308"\nb = "x"\n') == (("é", ("ü",)), ("b", ("x",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a = ["x", "y"]\nb = "x"', r"an old class must be named once, got x for a and b"),
        ('a = ["x", "x"]\nb = "y"', r"an old class must be named once, got x twice for a \("),
        ('a = []\nb = "x"', r"class a must have at least one old name, got an empty list"),
        ('[plants]\na = "x"', r"a map must be one table of names, got a table plants in it; write each class as "),
        ('a.b = "x"\nc = "y"', r"a map must be one table of names, got a table a in it; .* in quotation marks"),
        ('a = 1\nb = "x"', r'an old name must be text, got 1 for class a; write "1"'),
        ('a = [["x"]]\nb = "y"', r"an old name must be text, got \['x'\] for class a \("),
        ('a = true\nb = "y"', r"an old name must be text, got True for class a"),
        ('"" = "x"\nb = "y"', r"a class must have a printable name, got ''"),
        ('a = "x"', r"a map must name at least two classes, got 1"),
        ("", r"a map must name at least two classes, got 0"),
        ("T-shirt/top = 1", r"--map must be valid TOML, got: Expected .*line 1.*; write each class as "),
        ('a = "x"\na = "y"', r"--map must be valid TOML, got: .*overwrite"),
        ('"é" = "x"\n"e\u0301" = "y"', r"a new class must be named once, got two spellings"),
    ],
)
def test_what_is_no_map_is_refused_in_one_line_that_names_the_file(tmp_path, text, message):
    with pytest.raises(UsageError, match=message) as refused:
        read(tmp_path / "map.toml", text)
    assert re.search(r"map\.toml", str(refused.value))
    assert "\n" not in str(refused.value)


def test_file_that_cannot_be_read_is_refused(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(UsageError, match=f"--map must be a file that can be read, got {path}: "):
            read_map(path)
    (tmp_path / "map.toml").write_bytes(b"a = \xff")
    with pytest.raises(UsageError, match="--map must be valid TOML, got: 'utf-8' codec can't decode"):
        read_map(tmp_path / "map.toml")


@pytest.mark.parametrize(
    "content",
    [
        b"a." * 400_000 + b"b = 1",
        b"a = " + b"[" * 100_000,
        b"#" * 2_000_000,
        b"a = [" + b",".join(b'"%d"' % n for n in range(100_000)) + b"]",
    ],
)
def test_hostile_file_is_refused_at_once(tmp_path, content):
    (tmp_path / "map.toml").write_bytes(content)
    began = time.process_time()
    with pytest.raises(UsageError, match="map"):
        read_map(tmp_path / "map.toml")
    assert time.process_time() - began < 10
