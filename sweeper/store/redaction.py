"""Hides passwords and tokens in database addresses before they are shown."""

import re

# What follows the name of a user: as far as the last @ of its word; or, where it is neither a port nor the rest of an
# IPv6 address, over spaces to the next @, for SQLAlchemy takes such passwords.
_PASSWORD = re.compile(
    r"""(://[^:/\s]*):
        (?: \S*@
          | (?! \d{1,5} ['"),.;:\]]* (?:[/?\#\s]|$) | [\da-f:.]*\] ) (?:(?!://)[^@\n])* @ (?:\S*@)?
        )""",
    re.VERBOSE | re.IGNORECASE,
)


# To the end of the value, but for what closes a quotation or a sentence around the address. ODBC's own connection
# string has spaces in braces and behind semicolons.
_SECRET_VALUE = re.compile(
    r"""([?&] (?: odbc_connect | [^=&\s]*(?:pass|pwd|key|token|secret|sig)[^=&\s]* ) =)
        (?: \{[^}]*\} | ;[\w\ ]+= | [^&\s] )+?
        (?! ;[\w\ ]+= ) (?= ['")\].,;:]* (?:[&\s]|$))""",
    re.VERBOSE | re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with what is secret in its addresses hidden: passwords, tokens before an @ and in queries.

    Where a password with spaces cannot be told from the words around an address, they are hidden too.
    """
    text = _PASSWORD.sub(r"\1:***@", text)
    text = re.sub(r"://[^:/@\s]+@", "://***@", text)
    return _SECRET_VALUE.sub(r"\1***", text)
