"""Bone-wise areal density maps at a registered pose."""
