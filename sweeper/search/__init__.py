"""Running a study: what to try next, who trains it, and what becomes of it."""
