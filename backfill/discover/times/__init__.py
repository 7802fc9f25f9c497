"""How the times of a column are written, where they are in no form that is always known."""
