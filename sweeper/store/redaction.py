"""Hides passwords and tokens before they are shown: in addresses, in settings, and those of MLflow's variables."""

import os
import re

# A password follows a user's name and a colon, and ends at the last @ of its word. If that word has no @ and is neither
# a port nor the rest of an IPv6 address, the password has spaces and ends at the next @: SQLAlchemy accepts those.
_PASSWORD = re.compile(
    r"""(://[^:/\s]*):
        (?: \S*@
          | (?! \d{1,5} ['"),.;:\]}>]* (?:[/?\#\s]|$) | [\da-f:.]*\] ) (?:(?!://)[^@\n])* @ (?:\S*@)?
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


# What libraries print of their settings: a database's connection string, a request's header.
_SETTING = re.compile(r"""\b(password|passwd|pwd)=(?!\*\*\*)[^\s&;,'")\\]+""", re.IGNORECASE)
_HEADER = re.compile(r"""(authorization['"]?\s*[:=]\s*['"]?(?:basic|bearer)?\s*)[^\s'",}\\]+""", re.IGNORECASE)
# MLflow's variables with secrets. In characters, the shortest value that is looked for in any text.
_VARIABLES, _SHORTEST = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"), 6


def redact(text: str) -> str:
    """Hides the secrets in a text.

    They are passwords in addresses, tokens before an @, secrets in queries and settings, and the values of MLflow's
    variables. If a password with spaces cannot be told from the words around an address, those words are hidden too.
    """
    for variable in _VARIABLES:
        value = os.environ.get(variable, "")
        if len(value) >= _SHORTEST and value in text:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "***", text)
    text = _SETTING.sub(r"\1=***", _HEADER.sub(r"\1***", text))
    text = _PASSWORD.sub(r"\1:***@", text)
    text = re.sub(r"://[^:/@\s]+@", "://***@", text)
    return _SECRET_VALUE.sub(r"\1***", text)
