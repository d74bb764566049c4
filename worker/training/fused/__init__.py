"""The fused trainer: many trials in one compiled program, each as if it were alone.

kinds → layout → gradients (normalization, activations, dropout, sums) → optimizers → program → tile → streams → bank.
Every array has the slot axis S in front; whatever differs between trials is data along it.
"""
