"""What is kept in a database, where DATABASE_URL names one."""
