"""Phone numbers: what they look like in a cell, and which number that is."""
