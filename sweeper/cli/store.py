"""`sweeper store`: looks after a store as a whole."""

import json
from dataclasses import asdict

import click

from sweeper.cli.options import json_option, resolve_store, store_options
from sweeper.quantities import counted
from sweeper.store.options import StoreOptions


@click.group()
def store() -> None:
    """Look after a store as a whole.

    \b
    Example:
      sweeper store adopt --store copied
    """


@store.command()
@click.option(
    "--copied/--moved",
    default=None,
    help="Whether the original is still in use. Without either: whether its place still has a store.",
)
@store_options
@json_option
def adopt(copied: bool | None, store: StoreOptions, as_json: bool) -> None:
    """Make a store that was moved or copied a store of its own, in the place where it lies now.

    MLflow keeps absolute addresses: until then, the runs of a copy have their files in the original. The original
    is not touched. Test evaluations that were copied still count. On an MLflow server, the runs of a copied study stay
    those of the original.

    \b
    Example:
      sweeper store adopt --store copied
    """
    from sweeper.tracking.adopt import adopt as adopted

    where = resolve_store(store)
    found = adopted(where, copied)
    if as_json:
        click.echo(json.dumps({"schema_version": 1, **asdict(found)}, default=str))
    elif not found.before and not found.copy:
        click.echo(f"Nothing to adopt: {where.root} lies where it belongs.")
    else:
        before = ", ".join(map(str, found.before)) or "another store"
        what = f"a copy of {before}, with an identity of its own" if found.copy else f"moved from {before}"
        changed = counted(found.n_changed, "address is", "addresses are")
        click.echo(f"Adopted: {where.root} is {what}; {changed} now its own.")
