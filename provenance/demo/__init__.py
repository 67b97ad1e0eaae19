"""The embedded corpus, planted crawls made from it, and the demonstration that runs on them."""
