"""Preparation of a model's inputs by named steps, with the way back.

A card's `[[prepare]]` tables are a chain, read against the table PREPARATION (in `table.py`) into `card.prepare`:

    [[prepare]]
    step = "resample"
    spacing_mm = [1.5, 1.5, 1.5]

`prepare(inputs, chain)` (in `pipeline.py`) gives a `Prepared`: `.placed[name].volume` is an input as the model gets it,
`.stacked()` all of them as channels. `restore_labels`, `restore_probability`, `restore_mask`, `restore_argmax` (in
`restoring.py`) bring arrays on the prepared grid to the source grid of the reference, in one interpolation through the
inverse of the whole chain. `choose(PREPARATION, "resample", spacing_mm=(1.5, 1.5, 1.5))` makes a step in a program.
No torch is needed.
"""
