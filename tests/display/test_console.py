"""Tables and lines with text from outside, on a terminal and in a file."""

import io

import pytest
from rich.table import Table
from rich.text import Text

from sweeper.display.console import PlainConsole

HOSTILE = ["[red]", "[/]", "[/red]", "[link=http://evil]x[/link]", "back\\", "[a\\]", ":cat:", "[bold", "cat]"]


def printed(*what, **options):
    file = io.StringIO()
    PlainConsole(file, width=200, **options).print(*what)
    return file.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_markup_in_a_name_is_shown_as_it_is(name):
    table = Table(name, title=name, caption=name)
    table.add_column(Text(name))
    table.add_row(name, Text(name))
    assert printed(table).count(name) == 6
    assert printed(name) == f"{name}\n"


@pytest.mark.parametrize("text", ["\x1b[31mred", "\x9b2J", "\x1b]0;title\x07", "\u202eabc"])
def test_only_the_consoles_own_colours_reach_the_terminal(text):
    seen = text.encode("unicode_escape").decode().replace("\\x07", "")  # rich drops bells
    table = Table("name", title=text)
    table.add_row(text, Text(text, style="green"))
    for shown in (printed(table), printed(text), printed(Text(text))):
        assert seen in shown
        assert text not in shown
    coloured = printed(Text(text, style="green"), force_terminal=True, color_system="standard", no_color=False)
    assert coloured == f"\x1b[32m{seen}\x1b[0m\n"


def test_password_in_a_table_is_hidden():
    table = Table("address")
    table.add_row("http://me:hunter2@host:5000")
    assert "http://me:***@host:5000" in printed(table)
