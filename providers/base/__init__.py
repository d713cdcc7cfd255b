"""What adapters are built on: the interface, HTTP, options, errors and paging."""
