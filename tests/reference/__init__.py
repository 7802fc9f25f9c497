"""A second, plain program that says what a plan must hold, written from the documentation alone."""
