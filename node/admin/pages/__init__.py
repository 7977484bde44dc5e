"""The pages of the window, one module for each group of them."""
