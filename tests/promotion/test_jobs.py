from sweeper.promotion.jobs import key_of


def test_key_is_of_what_decides_the_weights():
    assert key_of("trial-4-refit", "a").startswith("trial-4-refit-")
    assert key_of("trial-4-refit", "a") == key_of("trial-4-refit", "a")
    assert key_of("trial-4-refit", "a") != key_of("trial-4-refit", "b")
