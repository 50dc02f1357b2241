"""`sweeper store`: looks after a store as a whole."""

import json
from dataclasses import asdict

import click

from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.store.layout import StoreOptions


@click.group()
def store() -> None:
    """Look after a store as a whole.

    \b
    Example:
      sweeper store adopt --store copied
    """


@store.command()
@store_options
@json_option
def adopt(store: StoreOptions, as_json: bool) -> None:
    """Make a store that was moved or copied a store of its own, in the place where it lies now.

    MLflow keeps absolute addresses: until then, the runs of a copy have their files in the original. The original
    is not touched. Test evaluations that were copied still count.

    \b
    Example:
      sweeper store adopt --store copied
    """
    from sweeper.tracking.adopt import adopt as adopted

    where = resolve_store(store)
    found = adopted(where)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **asdict(found)}, default=str))
    elif not found.n_changed:
        click.echo(f"Nothing to adopt: the runs of {where.root} lie in it.")
    else:
        before = ", ".join(map(str, found.before))
        click.echo(f"Adopted: {found.n_changed} addresses of {before} are now those of {where.root}.")
