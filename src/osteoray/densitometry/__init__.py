"""From density to bone mineral density: of the QCT, and of a predicted map."""
