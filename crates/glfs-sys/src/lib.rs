//! glfs-sys
