"""Units of density, and the one factor between volumetric and areal density."""

AREAL_G_CM2_FROM_MG_CM3_MM = 1e-4
"""A line integral in mg/cm³·mm times this is an areal density in g/cm²."""
