"""Training, fine-tuning and selection of the learned filters, and their checkpoints. May import `assimilation` and
below.
"""
