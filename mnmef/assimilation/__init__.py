"""The cycling loop, its metrics, and the assimilation of observations. May import `filters` and below."""
