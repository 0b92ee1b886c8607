"""Hip bone mineral density from a plain X-ray, learned from quantitative CT."""
