"""Motors, home switches and the drop sensor: what delivers a product and says whether it did."""
