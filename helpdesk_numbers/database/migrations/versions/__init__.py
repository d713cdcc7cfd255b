"""A file a change of the schema."""
