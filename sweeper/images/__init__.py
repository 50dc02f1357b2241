"""Images and labels in the form that every reader returns: their options, conversion and cache."""
