"""What runs the networks of embedders. Worker process only; which model is run, embedders/ knows."""
