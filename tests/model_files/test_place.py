import pytest

from sweeper.errors import SweeperError
from sweeper.model_files import program, weights_file
from sweeper.model_files.place import check_place


def written(exported, path):
    """A file of each format, by its ending."""
    match path.suffix:
        case ".onnx":
            path.write_bytes(exported.model.SerializeToString())
        case ".pt2":
            program.save(exported.program, path, exported.about)
        case _:
            weights_file.save(exported.network, path, exported.about)
    return path


FORMS = ("onnx", "pt2", "safetensors")


@pytest.mark.parametrize("form", FORMS)
def test_only_an_export_of_the_same_format_is_replaced(exported, tmp_path, form):
    check_place(written(exported, tmp_path / f"a.{form}"), form)
    for other in set(FORMS) - {form}:
        with pytest.raises(SweeperError, match=f"exists and is no {other} export of sweeper's"):
            check_place(tmp_path / f"a.{form}", other)


@pytest.mark.parametrize("form", FORMS)
def test_foreign_files_and_folders_are_refused(tmp_path, form):
    (tmp_path / "thesis.onnx").write_bytes(b"\x08\x0a\x12\x07pytorch and much more")
    (tmp_path / "folder.onnx").mkdir()
    for name in ("thesis.onnx", "folder.onnx"):
        with pytest.raises(SweeperError, match=f"{name} exists and is no {form} export"):
            check_place(tmp_path / name, form)


@pytest.mark.parametrize("form", FORMS)
def test_empty_file_and_a_new_name_are_places(tmp_path, form):
    (tmp_path / "empty").touch()
    check_place(tmp_path / "empty", form)
    check_place(tmp_path / "new", form)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(SweeperError, match=r"missing is no folder \(--output\)"):
        check_place(tmp_path / "missing" / "a.onnx", "onnx")


def test_name_that_is_not_utf_8_is_refused(tmp_path):
    with pytest.raises(SweeperError, match=r"must be UTF-8 \(--output\)"):
        check_place(tmp_path / "\udcff.onnx", "onnx")
