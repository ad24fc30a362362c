"""One pass over a request and its response; decides everything, awaits nothing."""
