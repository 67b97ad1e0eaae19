"""Text of models that comes back as people's: it is found, named, and told from what a model repeats.

Every document that is claimed to be people's, or of which nobody claims anything, is compared with every *output*: a
text that is known to be a model's (not merely taken for one by a detector, whose word must not spread). Four kinds of
likeness count, from 13 words on: the same text, a near-duplicate, containment (a quarter of the shorter text stands in
the other, in runs of 13 words and more), and a shared span of 50 words and more. Pairs are judged one by one, never
through a cluster. Each is a conflict, unless the document was there first:

- `prompt`: the output was made from it;
- `in training set`: the output's model, or a model behind it, was trained on the text;
- `dated earlier`: by evidence of grade `dated` or better it is people's, and its date is before the output's;
- `entered before`: it was in the store before the output;
- `quoted`: what the two share stands also in a document for which one of these holds.

Then it is memorisation: the model repeats people's text, and the document's label stands.

Data flows from `search` (which pairs are alike) by way of `judge` (what that means) into the table `laundering`, whose
conflicts the rule of `provenance.evidence.resolve` reads. `follow` keeps it true when claims change, `rescan` makes it
anew, `memorisation` asks how much of a model's output stands in what it was trained on.
"""
