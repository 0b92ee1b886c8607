"""Bones, femur landmarks and the proximal-femur region from CT."""
