"""What the customer touches and reads: keypad, display, buzzer; and the service door."""
