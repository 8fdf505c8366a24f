//! gluster-mock
