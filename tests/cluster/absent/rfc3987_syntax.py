"""In place of a package that compiles grammars for a second in each process; jsonschema, which Snakemake imports for
notebooks, does without it.
"""

raise ImportError("left out: it takes a second to import")
