"""Real processes that are killed, starved and made to wait."""
