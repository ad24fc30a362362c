"""The pages for users say what is so: their apps are asked as the pages tell."""
