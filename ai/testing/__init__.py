"""check_model: what every model must pass before it meets a patient's images, ours and anybody's.

`check_model(model, samples, device)` (in `checking.py`) yields a `Verdict` per property: what was seen, and what to
mend where it does not hold; `check_apart` (in `apart.py`) does it in a process of its own, within the times that the
card allows. samples: inputs that the model should take; `noise_inputs(card)` (in `samples.py`) makes some for any card.
"""
