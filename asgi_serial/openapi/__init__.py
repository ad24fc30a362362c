"""OpenAPI documents of frameworks, with the formats that each route gives and takes."""
