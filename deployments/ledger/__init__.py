"""Keys, tenants, usage and audit in a SQL database that the Controller alone opens."""
