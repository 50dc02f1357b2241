"""Hides passwords and tokens in database addresses before they are shown."""

import re

# A password follows a user's name and a colon, and ends at the last @ of its word. If that word has no @ and is neither
# a port nor the rest of an IPv6 address, the password has spaces and ends at the next @: SQLAlchemy accepts those.
_PASSWORD = re.compile(
    r"""(://[^:/\s]*):
        (?: \S*@
          | (?! \d{1,5} ['"),.;:\]]* (?:[/?\#\s]|$) | [\da-f:.]*\] ) (?:(?!://)[^@\n])* @ (?:\S*@)?
        )""",
    re.VERBOSE | re.IGNORECASE,
)


# A secret value ends before any characters that close a quotation or a sentence around the address. ODBC's own
# connection string has spaces in braces and after semicolons.
_SECRET_VALUE = re.compile(
    r"""([?&] (?: odbc_connect | [^=&\s]*(?:pass|pwd|key|token|secret|sig)[^=&\s]* ) =)
        (?: \{[^}]*\} | ;[\w\ ]+= | [^&\s] )+?
        (?! ;[\w\ ]+= ) (?= ['")\].,;:]* (?:[&\s]|$))""",
    re.VERBOSE | re.IGNORECASE,
)


def redact(text: str) -> str:
    """Hides the secrets in a text's addresses: passwords, tokens before an @, and secrets in queries.

    If a password with spaces cannot be told from the words around an address, those words are hidden too.
    """
    text = _PASSWORD.sub(r"\1:***@", text)
    text = re.sub(r"://[^:/@\s]+@", "://***@", text)
    return _SECRET_VALUE.sub(r"\1***", text)
