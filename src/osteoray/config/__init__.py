"""What a run is asked to do: one typed model per section, and the cohort tables."""
