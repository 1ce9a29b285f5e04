"""Ensemble filters, one file each behind the interface of `mnmef.filters.base.Filter`."""
