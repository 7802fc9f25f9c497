"""The documentation's pages, and the program that makes the parts of them that follow the code."""
