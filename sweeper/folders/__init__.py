"""What lies in users' folders: the words of names, files, tables of labels, and other kinds of data."""
