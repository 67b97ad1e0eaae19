"""Takedown: what hangs on some documents, their erasure for good, and training sets without them."""
