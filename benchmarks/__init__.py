"""What we claim about speed and memory, runnable: `make bench`. README.md says how to read it."""
