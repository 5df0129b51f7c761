"""The command line: parses, calls the model, prints. Docker's words and exit statuses."""
