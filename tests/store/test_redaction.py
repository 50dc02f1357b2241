import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.redaction import redact


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("https://me:sec:r@t@host", "https://me:***@host"),
        ("https://TOKEN@host/x", "https://***@host/x"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://me:my secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:a/b c@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me@server:secret@host/db", "postgresql://me@server:***@host/db"),
        ("mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3Dsecret", "mssql+pyodbc:///?odbc_connect=***"),
        ("mssql:///?odbc_connect=Driver={A 17};UID=me; PWD=secret=1&x=1", "mssql:///?odbc_connect=***&x=1"),
        ("s3://bucket?access_key=secret&x=1", "s3://bucket?access_key=***&x=1"),
        ("https://host?api_key=secret", "https://host?api_key=***"),
        ("https://host?x=1&sig=secret", "https://host?x=1&sig=***"),
        (
            "postgresql://host/db?sslpassword=secret&sslmode=require",
            "postgresql://host/db?sslpassword=***&sslmode=require",
        ),
        ("mysql://host/db?PWD=secret", "mysql://host/db?PWD=***"),
    ],
)
def test_password_in_an_address_is_hidden(url, shown):
    assert redact(url) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////tmp/x.db",
        "http://host:5000",
        "MLflow at http://127.0.0.1:5000 cannot be used: ask me@example.com",
        "MLflow at http://127.0.0.1:5000/x cannot be used: ask me@example.com",
        "http://[::1]:5000 does not answer; ask me@example.com",
        "postgresql+psycopg://me@host:5432/db",
        "sweeper search tiny --storage 'mysql://me@host/db'",
        "sweeper search tiny --tracking-uri http://host:5000 --set a=b@c --storage postgresql://host:5432/db?sslmode=require",
    ],
)
def test_text_without_a_secret_stays_as_it_is(text):
    assert redact(text) == text


def test_words_around_a_secret_stay():
    assert redact("postgresql://me:secret@host/db cannot be used: ask me@example.com") == (
        "postgresql://me:***@host/db cannot be used: ask me@example.com"
    )
    assert redact("(see https://host/?token=secret), then") == "(see https://host/?token=***), then"


@given(
    password=st.text("abc12 '\"/:.,;?&=#\\é").filter(lambda text: "://" not in text),
    key=st.text("abc12'\"/:.,;?=#\\@%é"),
    host=st.sampled_from(["host", "host:5432", "[::1]:5432", ""]),
)
def test_no_secret_is_left_in_a_command_and_its_words_stay(password, key, host):
    address = f"postgresql://me:x{password}hunter2{password}@{host}/db?api_key=hunter2{key}&x=1"
    command = shlex.join(["sweeper", "search", "tiny", "--storage", address, "--set", "kernel_size=5"])
    shown = redact(command)
    assert "hunter2" not in shown
    assert shlex.split(shown)[:4] == ["sweeper", "search", "tiny", "--storage"]
    assert shlex.split(shown)[5:] == ["--set", "kernel_size=5"]
    assert redact(shown) == shown
