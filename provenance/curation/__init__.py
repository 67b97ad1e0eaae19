"""Judgements by people: the documents whose judgement matters most, shown, judged, and taken back."""
