from sweeper.engine.ray import environment


def test_difference_names_what_differs_and_what_is_missing():
    here = {"sweeper": "1 (code a)", "torch": "2", "Python": "3"}
    assert environment.difference(here, here) == ""
    there = {"sweeper": "1 (code b)", "torch": "2"}
    assert environment.difference(there, here) == (
        "its sweeper is 1 (code b), here it is 1 (code a), its Python is missing, here it is 3"
    )


def test_software_has_versions_and_a_hash_of_the_code():
    software = environment.software()
    assert list(software) == ["sweeper", "torch", "Python"]
    assert software == environment.software()
    assert "(code " in software["sweeper"]
