from sweeper.store.arguments import store_arguments
from sweeper.store.options import StoreOptions


def test_printed_commands_name_the_store_wherever_they_are_typed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_STORE", raising=False)
    assert store_arguments(StoreOptions().resolve({})) == ""
    assert store_arguments(StoreOptions(tmp_path / "s").resolve({})) == f" --store {tmp_path}/s"
    assert store_arguments(StoreOptions(tmp_path / "a b").resolve({})) == f" --store '{tmp_path}/a b'"
    monkeypatch.setenv("SWEEPER_STORE", "/elsewhere")
    server = StoreOptions(None, None, "http://h:1").resolve({})
    assert store_arguments(server) == f" --store {tmp_path}/mlruns --tracking-uri http://h:1"


def test_address_with_a_password_is_not_printed():
    hidden = StoreOptions(None, None, "http://me:secret@h:1").resolve({})
    assert "--tracking-uri" not in store_arguments(hidden)
