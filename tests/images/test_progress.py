from sweeper.images import progress
from sweeper.images.progress import Progress


def test_long_reading_is_told_of_every_few_seconds_and_a_short_one_never(monkeypatch, notes):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    reading = Progress("hashing 3 files", 3_000_000_000, notes.append)
    for now[0], n_bytes in ((109.9, 500_000_000), (110.0, 500_000_000), (119.9, 1), (125.0, 999_999_999)):
        reading.add(n_bytes)
    assert notes == [
        "hashing 3 files: 1.0 GB of 3.0 GB, 0.1 GB a second",
        "hashing 3 files: 2.0 GB of 3.0 GB, 80.0 MB a second",
    ]
