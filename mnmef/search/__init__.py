"""The hyperparameter search of the classical filters. May import `assimilation` and below."""
