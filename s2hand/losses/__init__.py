"""Losses: formulas of tensors, each summed over a batch; `s2hand.loss_table` lists them."""
