import pytest

from sweeper.tracking.descriptions import MOST_LETTERS, escaped, with_section

RANKING, PROMOTION = "### Ranking\nfirst", "### Promotion\nchampion"


def test_a_section_is_replaced_and_what_people_wrote_around_it_stays():
    text = with_section("my words", RANKING)
    text = with_section(f"{text}\n\nmore words", PROMOTION, on_top=True)
    text = with_section(text, "### Ranking\nsecond")
    text = with_section(text, "### Promotion\nanother", on_top=True)
    assert text == "### Promotion\nanother\n\n---\n\nmy words\n\n### Ranking\nsecond\n\n---\n\nmore words"


def test_a_first_section_is_the_whole_description():
    assert with_section("", RANKING) == "### Ranking\nfirst\n\n---"


def test_a_description_that_would_be_too_long_stays():
    assert with_section("my words", RANKING + "x" * MOST_LETTERS) == "my words"


@pytest.mark.parametrize(
    "text", ["<script>x</script>", "![a](b)", "a | b", "`a`", "**a**", "javascript://x", "&lt;", "a\n# b"]
)
def test_no_letter_that_markdown_or_html_obeys_is_left(text):
    shown = escaped(text)
    assert not set("\\`*_[]<>|!\n") & set(shown)
    assert "://" not in shown
