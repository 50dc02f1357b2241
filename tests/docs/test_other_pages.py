import pytest

from tests.docs.shown_pages import HOW_TO, assert_prints_what_it_shows, page_parameters


@pytest.mark.parametrize("name", page_parameters(lambda name: not name.startswith(HOW_TO)))
def test_the_commands_of_another_page_do_what_it_shows(name, tmp_path, forks):
    assert_prints_what_it_shows(name, tmp_path)
