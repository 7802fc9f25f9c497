"""Invented data to try the program on, and how it is made."""
