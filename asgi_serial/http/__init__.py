"""Pure HTTP semantics: values in, values out; no I/O and no clock."""
