"""`python -m sweeper`, the same as `sweeper`."""

from sweeper.cli import main

if __name__ == "__main__":
    main(prog_name="sweeper")
