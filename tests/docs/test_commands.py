import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner

from sweeper.cli import main
from tests.cli.test_help import COMMANDS
from tests.commands.processes import wait_for
from tests.docs import commands, data
from tests.docs.markdown import blocks
from tests.docs.shown_pages import TEXTS

OPERATORS = re.compile(r"[();<>|&]+")


def calls(text: str) -> Iterator[list[str]]:
    """The calls of sweeper in a shell block, as words without the first."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split, words.commenters = True, "#"
        try:
            found = list(words)
        except ValueError:  # a quotation over several lines
            continue
        while "sweeper" in found:
            found = found[found.index("sweeper") + 1 :]
            end = next((i for i, word in enumerate(found) if OPERATORS.fullmatch(word)), len(found))
            yield found[:end]
            found = found[end:]


@pytest.fixture
def complaint(tmp_path, monkeypatch) -> Callable[[list[str]], str]:
    """What click says against a call, without anything being done."""
    monkeypatch.chdir(tmp_path)
    for _, command in COMMANDS.values():
        monkeypatch.setattr(command, "callback", lambda **_: None)

    def complaint(words: list[str]) -> str:
        result = CliRunner().invoke(main, words)
        fine = result.exit_code == 0 or "does not exist" in result.output or "cannot be read" in result.output
        return "" if fine else f"sweeper {shlex.join(words)}: {result.output.strip().splitlines()[-1]}"

    return complaint


@pytest.mark.parametrize("name", TEXTS)
def test_every_command_in_a_page_parses(name, complaint):
    found = [words for block in blocks(TEXTS[name]) if block.info == "sh" for words in calls(block.text)]
    assert not [said for words in found if words and (said := complaint(words))]


def test_calls_are_found_among_other_commands():
    text = "cd x && sweeper search a --set 'lr=1' > out  # sweeper stop\nA=1 sweeper ui | head\necho sweepers\n"
    assert list(calls(text)) == [["search", "a", "--set", "lr=1"], ["ui"]]


def test_a_call_with_a_mistake_is_found(complaint):
    assert "No such option" in complaint(["search", "--trails", "5"])


PAGE = """<!-- commands: -->
# A page
```sh
echo "done in 14 min 32 s: 92.38 %"; echo second
```
It prints
```text
done in 3 s: 1.5 %
...
```
<!-- exit code: 2 -->
```sh
echo wrong >&2; exit 2
```
```text
wrong
```
<!-- not run: needs another machine -->
```sh
exit 1
```
<!-- not output -->
```text
anything
```
"""


def test_a_page_is_run_block_by_block(tmp_path):
    assert commands.needs(PAGE) == []
    printed = list(commands.run(PAGE, tmp_path))
    assert [each.exit_code for each in printed] == [0, 2]
    assert not [said for each in printed if (said := commands.mistakes(each))]


CALLING = """<!-- commands: -->
```sh
mkdir -p a/b && cd a/b
SWEEPER_STORE=here sweeper studies 2>&1 | tee said
sweeper studies --store there >> said
```
```text
No studies in ~/a/b/here.
```
<!-- exit code: 2 -->
```sh
sweeper studies --no-such-option
```
"""


def test_a_page_calls_sweeper_with_the_folder_environment_and_streams_of_its_shell(tmp_path, forks):
    printed = list(commands.run(CALLING, tmp_path))
    assert not [said for each in printed if (said := commands.mistakes(each))]
    assert "No such option" in printed[1].stderr
    assert len((tmp_path / "a" / "b" / "said").read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_call_of_sweeper_ends_by_the_signal_that_it_is_sent(tmp_path, forks):
    data.make(["shapes"], tmp_path)
    search = "search shapes --trials 1 --epochs 100000 --jobs 1 --quiet"
    call = subprocess.Popen(
        ["sweeper", *search.split()],
        cwd=tmp_path, env=commands.environment(tmp_path), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for("a worker", lambda: list(tmp_path.glob("mlruns/logs/*/worker-*.log")))
    call.send_signal(signal.SIGTERM)
    assert "To resume: " in call.communicate()[1]
    assert call.returncode == 143


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("done in 3 s", "ready in 3 s", "not\nready in 3 s"),
        ("...\n", "", "second"),
        ("exit 2", "exit 3", "ends with 3, not 2"),
        ("<!-- exit code: 2 -->\n", "", "ends with 2, not 0"),
    ],
)
def test_a_page_that_shows_something_else_is_found(tmp_path, good, bad, said):
    assert good in PAGE
    printed = commands.run(PAGE.replace(good, bad), tmp_path)
    assert said in "".join(commands.mistakes(each) for each in printed)


OPTIONS = """<!-- commands: -->
<!-- exit code: 3 -->
<!-- run with: --quiet -->
<!-- run with: search --trials 2 -->
```sh
sweeper search a \\
    --trials 500 > out  # takes hours
A=1 sweeper ui | head
echo sweeper; exit 3
```
"""


def test_options_are_added_to_calls_of_sweeper():
    (found,) = commands.shown(OPTIONS)
    assert found.exit_code == 3
    assert found.commands == (
        "sweeper search a      --trials 500 --quiet --trials 2 > out  # takes hours\n"
        "A=1 sweeper ui --quiet | head\necho sweeper; exit 3\n"
    )


def test_a_block_within_a_list_is_run_too():
    page = "- a token:\n\n  <!-- exit code: 2 -->\n  ```sh\n  exit 2\n  ```\n"
    assert commands.shown(page) == [commands.Shown("  exit 2\n", 2, None)]


def test_text_after_a_block_that_is_not_run_is_nobodys():
    page = "<!-- not run: long -->\n```sh\nexit 1\n```\n```text\nout\n```\n"
    assert commands.shown("```sh\nexit 0\n```\n" + page) == [commands.Shown("exit 0\n", 0, None)]


# What is run elsewhere: the help's examples, and programs that measure for minutes.
GENERATED = "docs/reference/commands.md"
FIRST = re.compile(r"^\$? *(?:\w+=\S+ +)*(?:sweeper|python|pip|mlflow|ray|kubectl|pytest) ", re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in TEXTS if name.startswith("docs/") and name != GENERATED])
def test_every_command_in_the_documentation_is_run(name):
    found = list(blocks(TEXTS[name]))
    assert not [block.text for block in found if not block.info and FIRST.search(block.text)]
    assert commands.needs(TEXTS[name]) is not None or "sh" not in {block.info for block in found}


def test_output_of_another_processor_is_not_compared(tmp_path):
    page = "<!-- commands: -->\n```sh\necho Use trial 2\n```\n```text\nKeep trial 2\n```\n"
    (printed,) = commands.run(page, tmp_path)
    assert commands.mistakes(printed)
    assert not commands.mistakes(printed, compares=False)


def test_outputs_are_written_anew(tmp_path):
    page = PAGE.replace("wrong\n```\n<!--", "old\n```\n<!--")
    assert page != PAGE
    assert commands.rewritten(page, list(commands.run(page, tmp_path))) == PAGE


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("run 0123456789abcdef0123456789abcdef", "run fedcba9876543210fedcba9876543210"),
        ("at 2026-11-30 01:02:03", "at 2027-01-01 23:59:59"),
        ("p = 0.123456789012", "p = 0.5"),
        ("┃ a ┃ 1.5 ┃", "│    a    │ 20.75 │"),
        ("a\n...\nc", "a\nb\nb\nc"),
        ("...", "a\nb"),
    ],
)
def test_what_may_differ_between_two_runs_does_not_matter(expected, printed):
    assert commands.matches(expected, printed)


@pytest.mark.parametrize(("expected", "printed"), [("a 1", "b 1"), ("a\n...\nc", "a\nb\nd"), ("a", "a b"), ("", "a")])
def test_other_differences_do(expected, printed):
    assert not commands.matches(expected, printed)
