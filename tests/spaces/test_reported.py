import pytest

from sweeper.spaces.reported import read_reported


def test_one_table_and_an_array_of_one_a_split_are_taken_as_they_stand():
    validation = {"split": "validation", "accuracy": 0.89, "loss": 2.5, "train_accuracy": 1, "train_loss": 0}
    test = {"split": "test", "thresholded_precision": 0.9, "macro_f1": 0.0}
    assert read_reported(validation) == (validation,)
    assert read_reported([validation, test]) == (validation, test)
    assert read_reported([]) == ()


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"precision": 0.9}, "unknown key reported.precision; did you mean macro_precision?"),
        ({"validation_loss": 0.3}, "unknown key reported.validation_loss"),
        ({"accuracy": 89.23}, r"reported.accuracy must be a share in \[0, 1\], got 89.23; did you mean 0.8923\?"),
        ({"train_accuracy": 890}, r"reported.train_accuracy must be a share in \[0, 1\], got 890$"),
        ({"accuracy": -0.1}, "reported.accuracy must be at least 0, got -0.1"),
        ({"loss": -1}, "reported.loss must be at least 0, got -1"),
        ({"loss": True}, "reported.loss must be a finite number, got True"),
        ({"loss": float("inf")}, "reported.loss must be a finite number, got inf"),
        ({"split": "confirm"}, "reported.split must be one of train, validation, test, got 'confirm'"),
    ],
)
def test_bad_metric_is_named_by_key_rule_and_value(metrics, message):
    with pytest.raises(ValueError, match=message):
        read_reported({"split": "test"} | metrics)


def test_split_cannot_be_reported_twice():
    with pytest.raises(ValueError, match=r"reported\.split must differ from entry to entry, got 'test' twice"):
        read_reported([{"split": "test", "accuracy": 0.9}, {"split": "test", "accuracy": 0.8}])


@pytest.mark.parametrize("raw", ["0.9", [0.9], 0.9])
def test_reported_is_a_table_or_tables(raw):
    with pytest.raises(ValueError, match="reported must be a table or an array of tables"):
        read_reported(raw)
