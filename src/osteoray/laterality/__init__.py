"""Half X-rays: midline, left and right, orientation, size."""
