import json
import re

from click.testing import CliRunner

from sweeper.cli import main


def doctor(*arguments, **options):
    result = CliRunner().invoke(main, ["doctor", *map(str, arguments)], **options)
    assert "Traceback" not in result.output
    return result


def test_json_has_a_status_and_advice_for_every_check(tmp_path):
    shown = json.loads(doctor("--store", tmp_path / "store", "--json").stdout)
    assert shown["schema_version"] == 1
    assert all(set(check) == {"name", "status", "found", "advice"} for check in shown["checks"])
    assert {check["status"] for check in shown["checks"]} <= {"ok", "warning", "error"}
    assert not list(tmp_path.iterdir())


def test_an_error_is_exit_code_1_and_says_what_to_do(tmp_path):
    (tmp_path / "optuna.db").write_text("no database" * 1000)
    result = doctor("--store", tmp_path, env={"COLUMNS": "80"})
    assert result.exit_code == 1
    assert re.search(r"^error +optuna +", result.stdout, re.MULTILINE)
    assert "move it away, or take another store" in " ".join(result.stdout.split())
