"""The command line: one file a command; parse, call the pipeline, render. One error boundary."""
