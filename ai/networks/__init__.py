"""Models without code: a network's file and a card become a model."""
