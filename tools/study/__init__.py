"""What tools/glue is made of: the runs of a study and its tables and figures, a file for each idea."""
