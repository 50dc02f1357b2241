import math

from sweeper.tracking.csv_text import csv_text


def test_table_is_csv():
    assert csv_text(("a", "b"), [(1, "x,y"), (math.pi, None)]) == f'a,b\n1,"x,y"\n{math.pi},\n'
