//! The fake Gluster: one model of a volume, seen through several faces.
//!
//! Nothing is in it yet; it is built together with the Gluster store that it is to test.
