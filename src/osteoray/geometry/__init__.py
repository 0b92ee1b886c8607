"""Affines, rigid poses, the X-ray camera and voxel grids, in patient LPS millimetres; numpy only."""
