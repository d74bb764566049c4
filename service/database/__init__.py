"""SQL and nothing but SQL: engines, tables, queries that return domain objects."""
