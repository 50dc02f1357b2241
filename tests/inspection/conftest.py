from tests.data.conftest import _isolated, dataset  # noqa: F401 (fixtures)
