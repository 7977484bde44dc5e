"""The models that ship with Isocenter."""
