"""The recursive training loop: mix, fit, evaluate, sample, ingest the output as the next generation, and again.

Depends on `provenance`, never the other way round. Importing this package loads neither torch nor transformers; they
are imported where a transformer is made.
"""
