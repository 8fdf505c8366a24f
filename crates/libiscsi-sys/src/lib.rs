//! libiscsi-sys
