"""The report of an experiment: one self-contained HTML page and a short table, made from the store alone.

In the order in which data flows: `data`, `composition`, `samples` and `settings` read the store, `intervals` and
`headline` say what the numbers mean, `plots` and `svg` draw them, `summary` makes the table, `make` writes the page.
"""
