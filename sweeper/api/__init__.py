"""sweeper for Python programs and notebooks: what `import sweeper` offers."""
