"""Images with their place in the world: volumes, radiographs, bone labels, units, resampling."""
