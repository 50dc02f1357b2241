"""Where trainings run: jobs, the dispatcher that hands them out, and worker processes."""
