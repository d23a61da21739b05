"""The engines that run the networks of embedders: in the worker, and in the processes of cards. embedders/ knows which model is run."""
