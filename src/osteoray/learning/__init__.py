"""Networks, losses, augmentation, schedule and the training loop; knows no task and no path."""
