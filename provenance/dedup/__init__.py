"""Near-duplicates: tokens, signatures, bands, edges, clusters, representatives."""
