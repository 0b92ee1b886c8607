"""The file formats of the project; imported by scripts only."""
