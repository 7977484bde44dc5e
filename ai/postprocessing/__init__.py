"""From a model's scores to labels on the images' own grid, by named steps.

A card's `[[finish]]` tables are a chain, read against the table FINISHING (in `table.py`) into `card.finish`. Where a
network gives scores, the first step decides (`argmax` or `threshold`) and those that follow clean what was decided; a
model that gives labels needs no decision. `finish(prepared, scores, chain)` (in `finishing.py`) gives uint8 (layers,
slices, rows, columns) on the source grid of the reference: label n is the card's n-th segment, 0 background; regions
that may overlap lie in layers of their own. `segments_of(card, layers)` makes Segments of them.
"""
