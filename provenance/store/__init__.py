"""The store: one DuckDB file, its schema, its views, and the ways in."""
