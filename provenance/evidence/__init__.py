"""Claims about origin, and how they become the one origin that is shown."""
