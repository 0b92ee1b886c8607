"""The pose of pelvis and femurs in an X-ray, from CT, with a verdict."""
