"""How polling and the sync stand, judged for pages and for `doctor`."""
