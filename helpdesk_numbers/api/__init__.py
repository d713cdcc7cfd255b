"""The management API: `/api/v1`, on where ADMIN_TOKENS is set."""
