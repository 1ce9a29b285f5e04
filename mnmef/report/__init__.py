"""Claims, tables, figures and the results page, from the files of all stages. May import everything but `fit`."""
