"""When a collapse shows: every arm against the human control of the same generation and seed, metric by metric.

In the order in which data flows: `resampling` gives errors within a seed, `statistics` makes intervals and decisions of
differences, `collapse` makes the profile of every arm, `dose` says how much human text keeps a metric.
"""
