"""The engines that run the networks of embedders. Worker process only; embedders/ knows which model is run."""
