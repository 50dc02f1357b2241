"""Clumsy and hostile arguments of every command: one line, exit code 1 or 2, and nothing made anywhere."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sweeper.data.known import catalog
from sweeper.store.options import StoreOptions
from tests.fake_data import isolate, write_fake_dataset
from tests.hostile import listing, refused

# Names and numbers that nothing has; none is absent from a shell's reach but the NUL, which no argument can hold.
NAMES = [
    "nosuch", "", " ", "..", "../x", "/tmp/x", "a/b", ".hidden", "-x", "a\nb", "a b", "x" * 300, "x" * 5000,
    "é", "a\u202eb", "\udcff", "\u2024\u2024\uff0fx", "\x1b[2J", "a\\b", "%2e%2e", "~", "$HOME", "a:b", "*",
]  # fmt: skip
NUMBERS = ["", "x", "1.5", "-1", "nan", "²", "٣x", "1e400", "0x10", "9" * 5000, "1\n2"]
ADDRESSES = [
    "foo bar",
    "foo://x",
    "http://[::1",
    "postgresql://",
    "sqlite://\n",
    "://",
    "a\nb",
    "\x1b[2J",
    "http://a b",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The folder of the data set "tiny", which no command here may change."""
    folder = tmp_path_factory.mktemp("clumsy") / "data"
    dataset = write_fake_dataset(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(catalog.DATASETS, dataset.name, dataset)
        yield folder


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch, tmp_path, data):
    """A folder of its own for every test, with a file in it; afterwards it holds what it held."""
    isolate(monkeypatch, tmp_path)
    (tmp_path / "data").symlink_to(data)
    for variable in ("SWEEPER_STORE", "OPTUNA_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "work" / "file").write_text("a file")
    # Not `home`, where matplotlib keeps its list of fonts.
    folders = [tmp_path / name for name in ("work", "data", "cache")]
    before = list(map(listing, folders)), sorted(path.name for path in tmp_path.iterdir())
    yield
    assert (list(map(listing, folders)), sorted(path.name for path in tmp_path.iterdir())) == before


def search(*arguments):
    """A search that would begin but for these arguments."""
    return refused("search", "tiny", "--space", "lenet5", "--data-dir", "../data", "--offline", *arguments)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name and not name[0].isalnum()] + ["a/b", "a\nb", "x" * 300]
)
def test_study_name_that_names_no_folder_is_refused(name):
    assert "a study's name must be" in search(f"--study={name}")


@given(st.text() | st.lists(st.sampled_from(["..", "/", "a", ".", "\\", "\x00", "\n", "~", "é"])).map("".join))
@example("a/../../x")
@example("..")
@example("a" * 101)
@example("a\n")
def test_any_study_name_is_a_folder_in_the_store_or_refused(name):
    from sweeper.errors import UsageError
    from sweeper.store import names

    store = StoreOptions().resolve({})
    try:
        names.check_study_name(name)
    except UsageError as error:
        line = str(error)
        assert "--study" in line
    else:
        line = name
        folders = [store.trial_folder(name, "0" * 32, 0).parent, store.log_folder(name, "0" * 32)]
        assert all(folder.resolve().parent.parent == store.root for folder in folders)
    assert line.isprintable()
    assert len(line) < 1000


@pytest.mark.parametrize("command", ["search", "promote", "status", "studies", "trials", "ledger", "ui"])
@pytest.mark.parametrize(
    ("store", "rule"),
    [
        ("file", "the store must be a folder, got "),
        ("file/child", "cannot be the store: Not a directory"),
        ("x" * 300, "cannot be the store: File name too long"),
        ("x" * 5000, "cannot be the store: File name too long"),
        ("a\nb", "must be printable"),
        ("\udcff", "must be printable"),
        ("a?mode=memory", "without ? and %"),
        ("a%2fb", "without ? and %"),
    ],
)
def test_folder_that_can_be_no_store_is_refused(command, store, rule):
    line = search("--store", store) if command == "search" else refused(command, "--store", store, codes=(2,))
    assert rule in line
    assert "(--store)" in line


@pytest.mark.parametrize("command", ["status", "trials", "promote"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_address_that_is_no_storage_is_refused(command, address):
    refused(command, "--storage", address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_that_is_no_server_is_refused(address):
    refused("ledger", "--tracking-uri", address)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("-")])
@pytest.mark.parametrize(
    "command",
    [["search"], ["data", "info"], ["data", "fetch", "--offline"], ["spaces", "show"], ["spaces", "check"], ["status"],
     ["trials"], ["promote"], ["search", "tiny", "--space"]],
    ids=" ".join,
)  # fmt: skip
def test_unknown_name_is_refused(command, name):
    if not name and command[-1] == "--space":
        return  # as if it had not been given
    refused(*command, name)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "option",
    ["--trials", "--epochs", "--seed", "--jobs", "--max-params", "--keep", "--subset"],
)
def test_number_that_is_none_is_refused(option, number):
    search(f"{option}={number}")


@pytest.mark.parametrize("option", ["--epochs", "--jobs", "--subset"])
def test_number_that_is_too_large_is_refused(option):
    search(f"{option}={10**12}", "--dry-run")


@pytest.mark.parametrize("option", ["--top", "--seeds", "--jobs", "--prefer"])
@pytest.mark.parametrize("number", NUMBERS)
def test_number_of_a_promotion_that_is_none_is_refused(option, number):
    refused("promote", f"{option}={number}")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search"],
        ["search", "tiny", "extra"],
        ["search", "tiny", "--space", "lenet5", "--quiet", "--verbose"],
        ["search", "tiny", "--space", "lenet5", "--data-dir", "nosuch"],
        ["search", "tiny", "--space", "lenet5", "--data-dir", "file"],
        ["search", "tiny", "--space", "lenet5", "--data-dir", "a\nb"],
        ["search", "tiny", "--space", "lenet5", "--data-dir", "x" * 5000],
        ["search", "tiny", "--nosuch"],
        ["search", "tiny", "--nos\nuch"],
        ["search", "tiny", "--sampler", "best\n"],
        ["promote", "--allow-retest"],
        ["promote", "--quiet", "--verbose"],
        ["promote", "--prefer", "nice"],
        ["promote", "a", "b"],
        ["status", "a", "b"],
        ["studies", "a"],
        ["ui", "--port", "0"],
        ["ui", "--port", "65536"],
        ["ui", "--tracking-uri", "http://localhost:1"],
        ["ui"],
        ["spaces", "nosuch"],
        ["data", "nosuch"],
        ["nosuch"],
        ["no\nsuch"],
        ["--nosuch"],
    ],
    ids=str,
)
def test_clumsy_command_is_refused(arguments):
    refused(*arguments)


def test_study_is_not_looked_for_where_only_a_command_was_clumsy(tmp_path):
    refused("search", "tiny", "--space", "lenet5", "--store", "made", "--set", "droput=1")
    assert not os.path.lexists("made")
