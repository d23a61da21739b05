"""The reviewer's own widgets: lists, lines of words, pictures."""
