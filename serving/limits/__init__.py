"""What a key may use, and how several gateways keep one limit together without asking each other."""
