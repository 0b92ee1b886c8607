"""Figures of the cohort and the HTML report."""
