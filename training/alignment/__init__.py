"""Parts of supervised fine-tuning: recipe, rows, progress, and what a run leaves behind."""
