"""One module for each file format: what is a row, and what cannot be read."""
