"""How hypothesis runs: the same examples every time, so that a test result belongs to a commit, not to a run."""

from hypothesis import HealthCheck, settings

# No deadline and no health check of slowness: a busy machine must fail nothing. `tests.hostile.within` ends what hangs.
# No database: no run may depend on what an earlier one found.
settings.register_profile(
    "sweeper",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("sweeper")
