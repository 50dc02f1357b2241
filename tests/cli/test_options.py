import click
import pytest
from click.testing import CliRunner

from sweeper.cli import main
from sweeper.cli.values import Duration, Jobs, Names, Pixels, Size
from sweeper.data.source import DataAccess, DataSource
from sweeper.engine.options import DeviceOptions
from sweeper.images.options import DataOptions
from sweeper.images.value_range import ValueRange
from sweeper.promotion.options import PromotionOptions
from sweeper.runs.options import TrainingOptions
from sweeper.spaces import choice
from sweeper.sweep.options import SearchOptions


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("45m", 2700),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1d", 86400),
        (" 2H ", 7200),
    ],
)
def test_duration_is_in_seconds(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "h", "2x", "-1h", "0", "0s", "1h junk", "1 h 2", "nan", "inf"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter, match="must be"):
        Duration().convert(text, None, None)


def test_jobs_are_a_number_or_auto():
    assert Jobs().convert("auto", None, None) is None
    assert Jobs().convert("3", None, None) == 3
    for text in ("0", "-1", "two", "1.5", "²", "10000", "9" * 5000):
        with pytest.raises(click.BadParameter, match="must be auto or an integer of at least 1"):
            Jobs().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("4GB", 4_000_000_000), ("1.5GiB", 3 << 29), ("800MB", 800_000_000), ("2048mib", 2 << 30), ("auto", None)],
)
def test_size_is_in_bytes(text, n_bytes):
    assert Size().convert(text, None, None) == n_bytes


@pytest.mark.parametrize("text", ["", "4", "GB", "-4GB", "4kB", "4G", "1e9GB", "4GBs", "nan", "\u0664GB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(click.BadParameter, match="must be auto or a size such as 4GB"):
        Size().convert(text, None, None)


def test_pixels_are_a_positive_number():
    found = [Pixels().convert(text, None, None) for text in ("64000000", "108M", "1.5m", "500K", 7)]
    assert found == [64_000_000, 108_000_000, 1_500_000, 500_000, 7]
    for text in ("", "0", "0.0M", "-5M", "M", "5G", "1e9", "nan", "\u0664M"):
        with pytest.raises(click.BadParameter, match="must be a positive number such as 108M"):
            Pixels().convert(text, None, None)


def test_names_have_commas_between_them():
    assert Names().convert("car, deer,sea ship", None, None) == ("car", "deer", "sea ship")
    assert Names().convert('"Dresses, long",Skirts', None, None) == ("Dresses, long", "Skirts")
    for text in ("", "car,", ",", "car,,deer", '"a'):
        with pytest.raises(click.BadParameter, match="must be names with commas between them"):
            Names().convert(text, None, None)


@pytest.mark.parametrize(
    ("input_shape", "space"),
    [
        ((1, 28, 28), "lenet5"),
        ((1, 32, 32), "lenet5"),
        ((1, 28, 33), "vgg_small"),
        ((1, 27, 28), "vgg_small"),
        ((3, 8, 65), "timm_small"),
        ((1, 27, 27), "vgg_small"),
        ((1, 33, 33), "vgg_small"),
        ((1, 8, 8), "vgg_small"),
        ((3, 28, 28), "vgg_small"),
        ((3, 32, 32), "vgg_small"),
        ((3, 64, 64), "vgg_small"),
        ((3, 8, 64), "vgg_small"),
        ((3, 65, 65), "timm_small"),
        ((3, 7, 32), "timm_small"),
        ((1, 224, 224), "timm_small"),
    ],
)
def test_space_where_none_is_named_suits_the_images(input_shape, space):
    assert choice.default(input_shape) == space


class Asked(Exception):
    """Ends a command as soon as its request is made."""


def request_of(monkeypatch, function, *arguments):
    """The request that a command makes from these arguments."""
    asked = []

    def ask(request, *others):
        asked.append(request)
        raise Asked

    monkeypatch.setattr(function, ask)
    CliRunner().invoke(main, [*arguments, "--quiet"])
    [request] = asked
    return request


def test_a_search_without_options_has_the_defaults_of_a_python_caller(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    request = request_of(monkeypatch, "sweeper.sweep.run.run", "search", "fashion_mnist")
    assert request.source == DataSource("fashion_mnist")
    assert request.training == TrainingOptions()
    assert request.device == DeviceOptions()
    assert request.options == SearchOptions()


def test_a_training_without_options_has_the_defaults_of_a_python_caller(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    request = request_of(monkeypatch, "sweeper.runs.single.run", "train", "fashion_mnist")
    assert (request.source, request.training) == (DataSource("fashion_mnist"), TrainingOptions())
    assert request.device == DeviceOptions()
    assert (request.init, request.freeze, list(request.compare)) == (None, False, [])


def test_a_promotion_without_options_has_the_defaults_of_a_python_caller(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    request = request_of(monkeypatch, "sweeper.promotion.run.run", "promote", "mine")
    assert request.options == PromotionOptions()
    assert request.device == DeviceOptions()
    assert (request.study, request.data_access) == ("mine", DataAccess())


def test_a_range_of_values_reaches_its_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets").mkdir()
    arguments = ("search", "pets", "--space", "lenet5", "--value-range=-1,1e3")
    request = request_of(monkeypatch, "sweeper.sweep.run.run", *arguments)
    assert request.source.options.value_range == ValueRange(-1, 1000)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--no-exif",), "--no-exif is for folders of images, got mnist"),
        (("--resplit",), "--resplit is for your own data: mnist has no validation part of its own"),
        (("--background", "black"), "--background is for your own images, got mnist, none of which is transparent"),
    ],
)
def test_options_for_what_known_data_sets_lack_are_refused(option, told):
    result = CliRunner().invoke(main, ["data", "info", "mnist", *option])
    assert (result.exit_code, told in result.output) == (2, True)


@pytest.mark.parametrize("value", ["", "1", "1,2,3", "2,1", "1,1", "0,nan", "-inf,0", "a,b"])
def test_a_range_of_values_is_two_finite_numbers_the_lower_first(value):
    result = CliRunner().invoke(main, ["data", "info", "mnist", f"--value-range={value}"])
    assert result.exit_code == 2
    assert f"must be two finite numbers with a comma between them, the lower first, got {value!r}" in result.output


def test_a_range_of_values_is_for_the_users_own_images():
    result = CliRunner().invoke(main, ["data", "info", "mnist", "--value-range", "0,1"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "--value-range is for your own images, got mnist, whose pixels are bytes" in result.output


@pytest.mark.parametrize("dataset", ["mnist", "."])
def test_place_of_the_channels_is_for_npz_files(monkeypatch, tmp_path, dataset):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["data", "info", dataset, "--channels", "first"])
    assert (result.exit_code, result.output) == (2, f"Error: --channels is for .npz files, got {dataset}\n")


def test_every_option_reaches_its_place(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = "search cifar10 --trials 7 --epochs 3 --folds 2 --repeats 4 --seed 5 --subset 600 --timeout 90 --new "
    arguments += "--jobs 2 --device cpu --worker-memory 4GB --sampler random --pruner none --metric loss --keep 1 "
    arguments += "--engine inline "
    arguments += "--max-params 1000 --max-madds 2000 --max-latency 0.25 "
    arguments += "--target 0.5 --classes cat,dog --resize 16 --grayscale --skip-bad --offline "
    arguments += "--max-bytes 2GB --map map.toml --fit stretch"
    (tmp_path / "map.toml").write_text('x = "cat"\ny = ["dog", "frog"]\n')
    request = request_of(monkeypatch, "sweeper.sweep.run.run", *arguments.split())
    options = DataOptions(
        ("cat", "dog"),
        16,
        "stretch",
        grayscale=True,
        skip_bad=True,
        map=(("x", ("cat",)), ("y", ("dog", "frog"))),
    )
    assert request.source == DataSource("cifar10", options, offline=True, max_bytes=2_000_000_000)
    assert request.training == TrainingOptions(epochs=3, folds=2, repeats=4, seed=5, subset=600)
    assert request.device == DeviceOptions("cpu", jobs=2, worker_memory=4_000_000_000, engine="inline")
    assert request.options == SearchOptions(
        trials=7,
        sampler="random",
        pruner="none",
        metric="loss",
        max_params=1000,
        max_madds=2000,
        max_latency=0.25,
        target=0.5,
        timeout=90.0,
        keep=1,
    )
    assert request.new
