"""What may be printed of text from outside."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.store.shown import shown
from tests import hostile


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[2J\x1b[1;31mgone", r"\x1b[2J\x1b[1;31mgone"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x1b]8;;http://evil\x1b\\click", r"\x1b]8;;http://evil\x1b" + "\\click"),
        ("\x9b31mred \x85 \x90", r"\x9b31mred \x85 \x90"),
        ("done\rError", r"done\rError"),
        ("abc\x08\x08\x08xyz", r"abc\x08\x08\x08xyz"),
        ("photo\u202egnp.exe", r"photo\u202egnp.exe"),
        ("\u2066isolated\u2069", r"\u2066isolated\u2069"),
        ("two\u2028lines", r"two\u2028lines"),
        ("name-\udcff", r"name-\udcff"),
        ("\x7f", r"\x7f"),
        ("zwölf, 猫, \U0001f408, é\n\ttable", "zwölf, 猫, \U0001f408, é\n\ttable"),
    ],
)
def test_what_a_terminal_obeys_is_escaped_and_all_else_stays(text, seen):
    assert shown(text) == seen


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text):
    seen = shown(text)
    assert not any(ord(c) < 32 and c not in "\t\n" for c in seen)
    assert not any(0x7F <= ord(c) <= 0x9F or 0x202A <= ord(c) <= 0x202E or 0xD800 <= ord(c) < 0xE000 for c in seen)
    assert shown(seen) == seen


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text())))
def test_json_without_secrets_stays_as_it_is(content):
    line = json.dumps({"uri": "http://127.0.0.1:5000", "content": content, "model": "name@champion"})
    if "@" not in json.dumps(content) and "=" not in line and "://" not in json.dumps(content):
        assert shown(line) == line


def test_address_at_the_end_of_a_json_object_hides_nothing_behind_it():
    line = json.dumps({"server": {"uri": "http://host:5000"}, "model": "name@champion"})
    assert shown(line) == line


@pytest.mark.parametrize("secret", ["hunter2hunter2", "p@ss/w:rd", "a+b.c*d"])
@pytest.mark.parametrize("variable", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD"])
def test_values_of_mlflows_variables_are_hidden_everywhere(monkeypatch, variable, secret):
    monkeypatch.setenv(variable, secret)
    assert shown(f"login with '{secret}' refused, {secret}s not") == f"login with '***' refused, {secret}s not"


def test_settings_and_headers_are_hidden():
    assert shown("connection 'host=db password=hunter2 user=me' failed") == (
        "connection 'host=db password=*** user=me' failed"
    )
    assert shown("{'Authorization': 'Bearer abc.def'}") == "{'Authorization': 'Bearer ***'}"
    assert shown("{'Authorization': 'Basic bWU6aHVudGVyMg=='}") == "{'Authorization': 'Basic ***'}"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("password='my secret' user=me", "password='***' user=me"),
        ('password="my \\"secret\\"" user=me', 'password="***" user=me'),
        ("{'password': 'secret', 'user': 'me'}", "{'password': '***', 'user': 'me'}"),
        ("Settings(passwd = 'a secret', user='me')", "Settings(passwd = '***', user='me')"),
        (r"'Settings(pwd=\'a secret\', user=\'me\')'", r"'Settings(pwd=\'***\', user=\'me\')'"),
        ("Authorization: Digest secret", "Authorization: ***"),
        ('Authorization: Digest username="me", response="secret"\nnext', "Authorization: ***\nnext"),
        (
            "{'Authorization': 'Digest username=\"me\", response=\"secret\"', 'a': 'b'}",
            "{'Authorization': '***', 'a': 'b'}",
        ),
        ("curl -H 'Authorization: Custom a secret' http://host", "curl -H 'Authorization: ***' http://host"),
        ("Proxy-Authorization: Basic secret failed", "Proxy-Authorization: Basic *** failed"),
    ],
)
def test_values_of_several_words_in_settings_and_headers_are_hidden(text, seen):
    assert shown(text) == seen
    assert shown(seen) == seen


PIECES = (
    "?", "&", "?a", "&a", "?a=", "?key", "?key={", "?key=}", "?key=;a ",
    "@", ":", "/", "://", "://:", "://a:", "://a:@ ", "'", '"', "'\"",
    "\\", "{", "}", "[", "]", ";", " ", "\n", "password", "password=", "password='", "password='\"", "password=\\'",
    "authorization", "authorization:", "authorization: ", 'authorization="=', "authorization:basic ", "=\"",
)  # fmt: skip


@pytest.mark.parametrize("start", ["", "?token=", "password='"])
def test_time_grows_with_the_length_only_whatever_the_text_is(start):
    with hostile.within(120):
        for piece in PIECES:
            shown(start + piece * (50_000 // len(piece)))


@pytest.mark.parametrize("secret", ['hunter2"', "hunter2\\", 'a"b', "hunter2"])
def test_json_stays_json_when_a_secret_in_it_is_hidden(secret):
    line = json.dumps({"error": f"password={secret} at http://me:{secret}@host/?token={secret}", "next": "a@b"})
    assert json.loads(shown(line))["next"] == "a@b"
    assert "hunter2" not in shown(line)


@pytest.mark.parametrize("secret", ['hunter2"', "hunter2}", "hunter2"])
def test_secrets_in_lists_names_and_fields_of_json_are_hidden_and_it_stays_json(secret):
    address = f"http://me:{secret}@host/?token={secret}"
    content = [{address: 1, "password": secret, "Authorization": f"Bearer {secret}", "n": [address, "a@b"]}]
    for indent in (None, 2):
        seen = json.loads(shown(json.dumps(content, indent=indent)))
        assert "hunter2" not in str(seen)
        assert seen[0]["n"][1] == "a@b"


def test_json_around_an_address_in_a_line_of_words_stays():
    assert shown('got {"uris": ["http://host/?token=hunter2"]}') == 'got {"uris": ["http://host/?token=***"]}'
