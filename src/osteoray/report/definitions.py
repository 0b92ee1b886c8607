"""What the report's numbers mean and what they do not."""

from __future__ import annotations

from osteoray.report.page import Table

DEFINITIONS = Table(
    ("Term", "Definition"),
    (
        (
            "QCT aBMD",
            "Areal density of the proximal femur from the calibrated CT at neutral pose, in g/cm². Not a DXA value.",
        ),
        (
            "Predicted BMD",
            "Mean of the predicted map above a threshold, on the scale of QCT aBMD; both from training folds alone.",
        ),
        (
            "PCC, ICC",
            "Pearson and Fisher's pairwise intraclass correlation over half X-rays. ICC falls with bias, PCC does not.",
        ),
        ("MAE, SEE", "Mean absolute error; root of the summed squared error to the identity line over n − 2."),
        ("Empty map", "A map without bone counts with BMD 0; it is reported, never dropped."),
        (
            "Withheld",
            "A value that fails a plausibility check is withheld in the clinic folder, but stays in these statistics.",
        ),
        ("Error map", "Predicted minus reference map: red over, blue under."),
    ),
)
