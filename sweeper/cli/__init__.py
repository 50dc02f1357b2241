"""The command line: one file for each command, and one place that turns errors into messages and exit codes."""

import signal
import sys
from typing import Any

import click

from sweeper.cli import pages
from sweeper.cli.ablate import ablate
from sweeper.cli.compare import compare
from sweeper.cli.completion import completion
from sweeper.cli.dashboard import dashboard
from sweeper.cli.data import data
from sweeper.cli.delete import delete
from sweeper.cli.doctor import doctor
from sweeper.cli.evaluate import evaluate
from sweeper.cli.explain import explain
from sweeper.cli.export import export
from sweeper.cli.frontier import frontier
from sweeper.cli.ledger import ledger
from sweeper.cli.models import models
from sweeper.cli.predict import predict
from sweeper.cli.promote import promote
from sweeper.cli.promotions import promotions
from sweeper.cli.report import report
from sweeper.cli.retry import retry
from sweeper.cli.search import search
from sweeper.cli.spaces import spaces
from sweeper.cli.status import status
from sweeper.cli.stop import stop
from sweeper.cli.store import store
from sweeper.cli.studies import studies
from sweeper.cli.sync import sync
from sweeper.cli.train import train
from sweeper.cli.trials import trials
from sweeper.cli.ui import ui
from sweeper.errors import SweeperError, system_fault
from sweeper.process.streams import NoRoomForResults
from sweeper.store.redaction import redact


class _Main(click.Group):
    """Turns an error into one line on stderr and the right exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except SweeperError as error:
            if ctx.params["debug"]:
                raise
            page = pages.of_error(error)
            click.echo(f"Error: {redact(str(error))}{page and f'; see {page}'}", err=True)
            ctx.exit(error.exit_code)
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted.", err=True)
            ctx.exit(128 + signal.SIGINT)
        except BrokenPipeError:
            # The reader of our output (head, a pager) has closed the pipe.
            sys.stderr.close()
            ctx.exit(1)
        except NoRoomForResults as error:
            click.echo(f"Error: stdout cannot be written: {error.strerror}", err=True)
            ctx.exit(1)
        except Exception as error:
            if ctx.params["debug"]:
                raise
            if fault := system_fault(error):
                click.echo(f"Error: {redact(fault)}", err=True)
            else:
                click.echo(
                    f"Error: {type(error).__name__}: {redact(str(error))} (this is a bug in sweeper: "
                    "`sweeper --debug ...` shows where it happened)",
                    err=True,
                )
            ctx.exit(1)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(package_name="cnn-sweeper", prog_name="sweeper")
def main(debug: bool) -> None:
    """Find the best small network for your image-classification data, and trust the answer.

    \b
    Example:
      sweeper search fashion_mnist --trials 50
      sweeper ui
      sweeper promote --top 2 --test
    """


for command in (
    search, train, promote, promotions, ablate, compare, report, evaluate, predict, ledger, studies, trials, status,
    stop, retry, sync, delete, doctor, frontier, spaces, models, explain, export, data, ui, dashboard, store,
    completion,
):  # fmt: skip
    main.add_command(command)
pages.add_to(main)
