"""Pictures from files to what this terminal can show. Must never write a file."""
