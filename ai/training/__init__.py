"""From labelled images to a model's weights and figures: training and evaluation of networks that segment."""
