"""The figures: what the node does under load and under kills, measured by the same code that the tests use."""
