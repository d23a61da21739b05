"""What several tests need: pictures made on the fly, and a torch that fits its torchvision."""
