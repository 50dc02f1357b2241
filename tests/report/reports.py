"""A report with a text of the test's choice in each of its places, and what a browser would make of a page."""

from html.parser import HTMLParser

from sweeper.plots import Plot
from sweeper.report.blocks import Commands, Facts, Figure, Heading, Listing, Section, Sentences, Table
from sweeper.report.content import Report

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "{{7*7}}{% raw %}",
    '" onload="alert(1)',
    "javascript:alert(1)",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1)) ![x](http://example.org/x.png)",
    "`</code>` **bold** | cell\n# heading",
    "\u2028\u2029<!--",
    "</style></title>&lt;b&gt;",
)


def report_of(text, **study):
    """A report in which every section has blocks of all kinds, and each text is `text`."""
    figure = Figure(
        text,
        text,
        text,
        Plot("optimization_history", {"numbers": [0], "values": [0.5], "states": ["complete"], "metric": text}
             | {"direction": "maximize"}),
        {"data": [{"type": "scatter", "name": text, "x": [text], "y": [1]}], "layout": {}},
    )  # fmt: skip
    blocks = [
        Heading(text, text),
        Sentences([text], lead=True),
        Facts([(text, text)]),
        Table(text, [text, "n"], [[text, "1"], ["", "2"]], (1,), sortable=True),
        Commands([(text, text)]),
        Listing(text, text),
    ]
    first, others = Section(text, text, [*blocks, figure], {"name": text}), Section(text, text, blocks, {"name": text})
    about = {
        "name": text, "state": "finished", "dataset": text, "space": text, "metric": "accuracy",
        "made": "2026-01-02T03:04:05+00:00", "is_snapshot": False, "version": "0",
    }  # fmt: skip
    names = ("trials", "importance", "ablation", "frontier", "networks", "data", "provenance")
    return Report(study=about | study, answer=first, **dict.fromkeys(names, others))


class Parsed(HTMLParser):
    """The elements of a page in their order, its texts outside scripts, and the texts of its scripts by type."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self.scripts, self.declarations = [], [], [], []
        self._open = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._open = dict(attrs).get("type", "") if tag == "script" else "style"
            self.scripts.append((self._open, ""))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._open = None

    def handle_data(self, data):
        if self._open is None:
            self.texts.append(data)
        else:
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
