"""Asks the accounts, in time."""
