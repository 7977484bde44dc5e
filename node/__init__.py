"""The node: receives studies, runs models on them, sends the results back."""

__version__ = "0.1.0"
