"""Learned ensemble filters for data assimilation, and the proof that they work.

The package holds the science of the pipeline: dynamical systems, classical and learned ensemble filters, one
assimilation cycle that all of them share, training, tuning and scoring. Importing it loads neither torch nor dapper.
"""

__version__ = "0.1.0"
