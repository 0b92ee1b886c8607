"""The network that draws the proximal-femur density map from an X-ray."""
