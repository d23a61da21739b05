"""What the reviewer knows, decides and says, as values and functions of them. Must never import Textual or do I/O."""
