"""Images and labels as every reader gives them: what may be asked of them, and how they are converted and cached."""
