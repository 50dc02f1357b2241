"""Hides passwords and tokens before they are shown: in addresses, in settings, and those of known variables.

All output passes these patterns, and whoever writes a text may have chosen it: each pattern's time grows with the
text's length only, because what it looks at from one place is bounded or ends where the next place begins.
"""

import os
import re

from sweeper import environment

# A password follows a user's name and a colon, and ends at the last @ of its word. If that word has no @ and is neither
# a port nor the rest of an IPv6 address, the password has spaces and ends at the next @: SQLAlchemy accepts those.
_PASSWORD = re.compile(
    r"""(://[^:/\s]*):
        (?: \S{0,2000}@
          | (?! \d{1,5} ['"),.;:\]}>]* (?:[/?\#\s]|$) | [\da-f:.]*\] ) (?:(?!://)[^@\n])* @ (?:\S{0,2000}@)?
        )""",
    re.VERBOSE | re.IGNORECASE,
)


# What stands alone before an @ may be a token, but is a user's name in the address of a database.
_USER = re.compile(r"(?P<database>\b(?:postgresql|mysql|mariadb|mssql|oracle)(?:\+\w{1,20})?)?://[^:/@\s]+@")


# A secret value ends before any characters that close a quotation, a sentence or JSON around the address. ODBC's own
# connection string has spaces in braces and after semicolons.
_SECRET_VALUE = re.compile(
    r"""([?&] (?: odbc_connect | (?=[^=&?\s]{0,200}(?:pass|pwd|key|token|secret|sig)) [^=&?\s]{1,200} ) =)
        (?: \{[^}]{0,1000}\} | ;[\w\ ]+= | [^&\s] )+?
        (?! ;[\w\ ]+= ) (?= ['")\]}.,;:]{0,20} (?:[&\s]|$))""",
    re.VERBOSE | re.IGNORECASE,
)


# What libraries print of their settings: a database's connection string, an object's fields, a request's header. A
# value in quotation marks, which a text within a text escapes, ends at the closing one.
_NAME = "password|passwd|pwd"
_QUOTED = r"(?:(?!(?P=quote)|\n)(?:\\.|.))+"
_SETTING = re.compile(
    rf"""(\b(?:{_NAME})) (?:
          ( \\{{0,4}}['"]? \s{{0,9}} [:=] \s{{0,9}} (?P<quote>\\{{0,4}}['"]) ) {_QUOTED}
        | (=) (?!\*\*\*)[^\s&;,'")\\]+
        )""",
    re.VERBOSE | re.IGNORECASE,
)
# Other ways to authorise than these two have values of several words.
_HEADER = re.compile(
    rf"""(authorization \\{{0,4}}['"]? \s{{0,9}} [:=] \s{{0,9}} (?P<quote>\\{{0,4}}['"])? )
        (?: ((?:basic|bearer)\s{{1,9}}) [^\s'",}}\\]+
          | (?(quote) {_QUOTED} | (?: ="[^"\n]*" | [^\n'"\\}}] )+ )
        )""",
    re.VERBOSE | re.IGNORECASE,
)
# A field of JSON whose value is secret.
_SECRET_FIELD = re.compile(rf"{_NAME}|(?:proxy-)?authorization", re.IGNORECASE)
# In characters, the shortest value of a secret variable that is looked for in any text.
_SHORTEST = 6


def redact(text: str) -> str:
    """Hides the secrets in a text.

    They are passwords in addresses, tokens before an @ (but not the user of a database), secrets in queries and
    settings, and the values of known variables. If a password with spaces cannot be told from the words around an
    address, those words are hidden too.
    """
    for variable in environment.SECRET:
        value = os.environ.get(variable, "")
        if len(value) >= _SHORTEST and value in text:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
    if ":" not in text and "=" not in text:  # all patterns have one of them, and most lines of a long table have none
        return text
    text = _SETTING.sub(r"\1\2\4***", _HEADER.sub(r"\1\3***", text))
    text = _PASSWORD.sub(r"\1:***@", text)
    text = _USER.sub(lambda found: found[0] if found["database"] else "://***@", text)
    return _SECRET_VALUE.sub(r"\1***", text)


def is_secret(field: str) -> bool:
    """Whether a field of this name has a secret as its value."""
    return _SECRET_FIELD.fullmatch(field) is not None
