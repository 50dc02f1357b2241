"""From a finished search to a champion that can be trusted: fresh seeds, confirm, refit, register, and one test."""
