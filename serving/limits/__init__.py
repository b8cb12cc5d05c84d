"""What keys and tenants may use, and how gateways keep one limit without asking each other."""
