"""The documentation; generate.py makes the pages that come out of the code."""
