"""The parts of `pretrain`: names, wordings, rows, batches, tokenizer, induction circuit."""
