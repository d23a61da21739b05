"""The reviewer's own widgets: lists, lines of text, pictures. Must never import a screen or the app, nor ask the daemon."""
