"""Patient-wise folds that never move when patients are added."""
