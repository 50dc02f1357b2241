"""A study as one page, as Markdown or as JSON."""
