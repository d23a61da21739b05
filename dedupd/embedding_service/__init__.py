"""`dedupd serve-embed`: one model behind HTTP, for libraries on other machines. It keeps nothing, and knows no photo."""
