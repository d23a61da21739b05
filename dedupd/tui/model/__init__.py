"""The reviewer's state, decisions and sentences, as values and pure functions. Must never import Textual or
do I/O."""
