"""The checks of `doctor`, a module for each subject; each yields findings about an app."""
