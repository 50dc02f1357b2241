"""Times, sizes and numbers as people write them. Functions that parse text raise ValueError with the rule and value."""

import re

_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds(text: str) -> float:
    """Seconds, from 90, 90s, 45m, 2h, 1d or 1h30m."""
    plain = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", plain)
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        found = float(plain)
    elif parts and "".join(number + unit for number, unit in parts) == plain:
        found = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    else:
        raise ValueError(f"must be a duration such as 90s, 45m, 2h or 1h30m, got {text!r}")
    if found <= 0:
        raise ValueError(f"must be longer than 0 seconds, got {text!r}")
    return found


def pixels(text: str) -> int:
    """A positive number, from 64000000, 108M or 500K."""
    parts = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([KM]?)", text, re.ASCII | re.IGNORECASE)
    found = round(float(parts[1]) * {"": 1, "K": 1000, "M": 1_000_000}[parts[2].upper()]) if parts else 0
    if found < 1:
        raise ValueError(f"must be a positive number such as 108M, got {text!r}")
    return found


def size(text: str) -> int:
    """Bytes, from 800MB, 4GB or 1.5GiB."""
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([MG])(i?)B", text, re.ASCII | re.IGNORECASE)
    if not parts:
        raise ValueError(f"must be auto or a size such as 4GB or 1.5GiB, got {text!r}")
    base = 1024 if parts[3] else 1000
    return round(float(parts[1]) * base ** (2 if parts[2].upper() == "M" else 3))


def counted(n: float, noun: str, nouns: str = "") -> str:
    """A number with its noun: 1 image, 2,500 images, 2 copies, 0.5 CPUs; `nouns` is the plural where an s won't do."""
    number = f"{n:g}" if isinstance(n, float) else f"{n:,}"
    return f"{number} {noun if n == 1 else nouns or f'{noun}s'}"
