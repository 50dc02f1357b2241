import pytest

from sweeper.engine.ray.refusals import refusal


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.59.0\n    Python: 3.11.2\n",
            "must be the same: Version mismatch: The cluster was started with: Ray: 2.59.0 Python: 3.11.2",
        ),
        (
            "Token authentication is enabled but no authentication token was found.",
            "does not take this machine's token",
        ),
        ("No node info found matching attributes: '' when trying to resolve node to connect to.", "--num-cpus=0"),
        ("something else\nin two lines", "cannot be used: something else in two lines"),
    ],
)
def test_what_ray_says_of_a_cluster_becomes_one_line_with_the_remedy(text, words):
    told = refusal(RuntimeError(text), "head:6390")
    assert words in told
    assert "\n" not in told
    assert "head:6390" in told
