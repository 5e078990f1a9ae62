"""Training: parallel data, alignment and the embedded model's pretraining."""
