"""From files to documents: readers, validation, batches, and what was refused."""
