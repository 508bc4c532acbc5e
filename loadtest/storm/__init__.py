"""Storms: the first day of a month, an enterprise that owes, sick elements; and the proof."""
