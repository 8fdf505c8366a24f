//! A failing plan made small.
