"""What the reviewers in the terminal and in the browser have in common: sentences and lists, as values. Must
never do I/O nor know a screen."""
