"""What tools/glue is made of: a study's runs, tables and figures, a file for each idea."""
