"""The vend saga: intent, act, outcome; compensation in reverse; recovery by the same steps."""
