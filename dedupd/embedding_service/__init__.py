"""`dedupd serve-embed`: one model behind HTTP, for libraries on other machines. It stores nothing and
receives no names of photos."""
