"""The fleet's HTTPS door: for machines whose network blocks MQTT."""
