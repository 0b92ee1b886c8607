"""The zoo: one module per pretraining task of the encoder."""
