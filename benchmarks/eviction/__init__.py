"""Which values a full cache had best forget: hit ratios of several policies on made traces."""
