"""What a key may use, and how several gateways keep one limit without asking each other."""
